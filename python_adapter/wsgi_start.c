/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * How Python is started.
 *
 * PyConfig begins as "python" would have it, not as the isolated one: a worker
 * has no PYTHON* variable that the administrator has not put there by "env" or
 * "wsgi_env", so PYTHONPATH, PYTHONWARNINGS, PYTHONDONTWRITEBYTECODE and the
 * like mean what they say.  What differs from "python":
 *
 * - UTF-8 mode, because a worker's locale is usually C;
 * - no signal handlers, they are nginx's; argv is not parsed.
 */

#include "wsgi_python.h"        /* first: it defines _GNU_SOURCE for dladdr() */

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wsgi_start.h"


static int32_t wsgi_start_global(char *err, size_t len);
static int32_t wsgi_start_initialize(const nwsgi_config_t *conf,
    const wsgi_home_t *home, char *err, size_t len);
static PyStatus wsgi_start_preinitialize(void);
static PyStatus wsgi_start_configure(PyConfig *config,
    const nwsgi_config_t *conf, const wsgi_home_t *home);
static int wsgi_start_sys(const nwsgi_config_t *conf);
static int wsgi_start_sys_path(PyObject *path, Py_ssize_t i, const char *dir);
static void wsgi_start_children(void);


int32_t
wsgi_start_environment(const nwsgi_config_t *conf)
{
    uint32_t  i;

    for (i = 0; i < conf->nenv; i++) {
        if (setenv(conf->env[i].name, conf->env[i].value, 1) != 0) {
            return NWSGI_ERROR;
        }
    }

    return NWSGI_OK;
}


int32_t
wsgi_start_python(const nwsgi_config_t *conf, char *err, size_t len)
{
    wsgi_home_t  home;

    if (conf->directory && chdir(conf->directory) != 0) {
        (void) snprintf(err, len, "wsgi_directory \"%s\": %s",
                        conf->directory, strerror(errno));
        return NWSGI_ERROR;
    }

    if (wsgi_home_find(&home, conf, err, len) != NWSGI_OK
        || wsgi_start_global(err, len) != NWSGI_OK)
    {
        return NWSGI_ERROR;
    }

    wsgi_start_children();

    return wsgi_start_initialize(conf, &home, err, len);
}


/*
 * C extensions are not linked with libpython, they find its symbols among the
 * global ones.  nginx has loaded this library, and libpython with it, as a
 * local one.
 */

static int32_t
wsgi_start_global(char *err, size_t len)
{
    Dl_info  info;

    if (dladdr((void *) (uintptr_t) Py_InitializeFromConfig, &info) == 0
        || dlopen(info.dli_fname, RTLD_NOW|RTLD_GLOBAL|RTLD_NOLOAD) == NULL)
    {
        (void) snprintf(err, len, "libpython cannot be made global: %s",
                        dlerror());
        return NWSGI_ERROR;
    }

    return NWSGI_OK;
}


/*
 * nginx's handler of SIGCHLD reaps whatever child has ended, and subprocess
 * would never learn how its own did.  A worker has no other children.
 */

static void
wsgi_start_children(void)
{
    (void) signal(SIGCHLD, SIG_DFL);
}


static int32_t
wsgi_start_initialize(const nwsgi_config_t *conf, const wsgi_home_t *home,
    char *err, size_t len)
{
    PyConfig   config;
    PyStatus   status;

    status = wsgi_start_preinitialize();

    if (!PyStatus_Exception(status)) {
        PyConfig_InitPythonConfig(&config);

        status = wsgi_start_configure(&config, conf, home);

        if (!PyStatus_Exception(status)) {
            status = Py_InitializeFromConfig(&config);
        }

        PyConfig_Clear(&config);
    }

    if (PyStatus_Exception(status)) {
        (void) snprintf(err, len, "Python %d.%d of \"%s\" does not start: %s",
                        PY_MAJOR_VERSION, PY_MINOR_VERSION,
                        home->home ? home->home : home->program,
                        status.err_msg ? status.err_msg : "it wants to exit");
        return NWSGI_ERROR;
    }

    if (wsgi_start_sys(conf) != 0) {
        PyErr_Print();
        (void) snprintf(err, len, "sys.path and sys.executable cannot be set");
        return NWSGI_ERROR;
    }

    return NWSGI_OK;
}


static PyStatus
wsgi_start_preinitialize(void)
{
    PyPreConfig  preconfig;

    PyPreConfig_InitPythonConfig(&preconfig);

    preconfig.utf8_mode = 1;
    preconfig.parse_argv = 0;

    /* it would set LC_CTYPE in the environment, see wsgi_start_environment() */
    preconfig.coerce_c_locale = 0;

    return Py_PreInitialize(&preconfig);
}


static PyStatus
wsgi_start_configure(PyConfig *config, const nwsgi_config_t *conf,
    const wsgi_home_t *home)
{
    PyStatus  status;

    char *const  argv[] = { (char *) "ngx_wsgi" };

    config->install_signal_handlers = 0;
    config->parse_argv = 0;
    config->buffered_stdio = 0;
    config->pathconfig_warnings = 0;

    if (conf->optimize) {
        config->optimization_level = (int) conf->optimize;
    }

    if (PyImport_AppendInittab("_ngx_wsgi", wsgi_module_create) != 0) {
        return PyStatus_NoMemory();
    }

    status = PyConfig_SetBytesArgv(config, 1, argv);

    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(config, &config->program_name,
                                         home->program);
    }

    if (!PyStatus_Exception(status) && home->home) {
        status = PyConfig_SetBytesString(config, &config->home, home->home);
    }

    return status;
}


/*
 * sys.path begins with what wsgi_python_path says, in its order, then comes
 * wsgi_directory: the order of gunicorn's --pythonpath and --chdir.
 *
 * sys.executable is set afterwards, when it is not the one that Python was
 * found by: until 3.13 the module "site" looks for the virtualenv beside it.
 */

static int
wsgi_start_sys(const nwsgi_config_t *conf)
{
    int         rc;
    uint32_t    i;
    PyObject   *path, *executable;

    path = PySys_GetObject("path");

    if (path == NULL || !PyList_Check(path)) {
        PyErr_SetString(PyExc_RuntimeError, "sys.path is not a list");
        return -1;
    }

    for (i = 0; i < conf->npath; i++) {
        if (wsgi_start_sys_path(path, (Py_ssize_t) i, conf->path[i]) != 0) {
            return -1;
        }
    }

    if (conf->directory
        && wsgi_start_sys_path(path, (Py_ssize_t) i, conf->directory) != 0)
    {
        return -1;
    }

    if (conf->executable == NULL) {
        return 0;
    }

    executable = PyUnicode_DecodeFSDefault(conf->executable);
    if (executable == NULL) {
        return -1;
    }

    rc = PySys_SetObject("executable", executable);
    Py_DECREF(executable);

    return rc;
}


static int
wsgi_start_sys_path(PyObject *path, Py_ssize_t i, const char *dir)
{
    int        rc;
    PyObject  *entry;

    entry = PyUnicode_DecodeFSDefault(dir);
    if (entry == NULL) {
        return -1;
    }

    rc = PyList_Insert(path, i, entry);
    Py_DECREF(entry);

    return rc;
}


static PyObject *
wsgi_start_importing(PyObject *self, PyObject *args)
{
    unsigned int        app;
    unsigned long long  ident;

    (void) self;

    if (!PyArg_ParseTuple(args, "IK", &app, &ident)) {
        return NULL;
    }

    wsgi_thread_imports(ident != 0);

    if (nwsgi_go_import && nwsgi_go_import(app, ident) != NWSGI_OK) {
        PyErr_SetString(PyExc_SystemError,
                        "the runtime has failed, and logged why");
        return NULL;
    }

    Py_RETURN_NONE;
}


/*
 * A child that the application forked, on any thread, has come to the end of
 * what called it, which is in a "finally", so that an exception is not set but
 * being handled.  Go, where the call came from, does not live here.
 */

static PyObject *
wsgi_start_end_child(PyObject *self, PyObject *args)
{
    PyObject  *type, *value, *traceback;

    (void) self;
    (void) args;

    if (!wsgi_forked) {
        Py_RETURN_NONE;
    }

    PyErr_GetExcInfo(&type, &value, &traceback);

    if (value && value != Py_None) {
        PyErr_SetRaisedException(Py_NewRef(value));
    }

    wsgi_fork_end();
}


static PyMethodDef  wsgi_start_methods[] = {
    { "importing", wsgi_start_importing, METH_VARARGS,
      "importing(index, ident): tells Go that an import begins, or ends (0)" },
    { "end_child", wsgi_start_end_child, METH_NOARGS,
      "end_child(): ends a child that was forked, instead of returning to Go" },
    { NULL, NULL, 0, NULL }
};


int
wsgi_start_hook(void *boot)
{
    return PyModule_AddFunctions((PyObject *) boot, wsgi_start_methods);
}
