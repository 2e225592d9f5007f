/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where Python is.  CPython finds its library by the path of its executable:
 * from there it looks upwards for pyvenv.cfg or for its own library, so a
 * virtualenv needs nothing but its bin/python as program_name.  A prefix that
 * holds a Python of its own is PYTHONHOME.
 *
 * What would not work is refused here, in words: CPython itself would find
 * some other library, or end with a dump of its path configuration.
 */

#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wsgi_start.h"


/* From configure: the interpreter that libpython belongs to. */
#ifndef NWSGI_PYTHON
#define NWSGI_PYTHON  "/usr/bin/python3"
#endif


typedef struct {
    char     *text;
    size_t    len;
} wsgi_err_t;


static int32_t wsgi_home_by_executable(wsgi_home_t *home, const char *path,
    wsgi_err_t *err);
static int32_t wsgi_home_venv(wsgi_home_t *home, const char *path,
    wsgi_err_t *err);
static int32_t wsgi_home_prefix(wsgi_home_t *home, const char *path,
    wsgi_err_t *err);
static int32_t wsgi_home_version(const char *what, const char *path,
    const char *landmark, wsgi_err_t *err);
static int wsgi_home_other(const char *path, char *version, size_t len);
static int wsgi_home_bin(wsgi_home_t *home, const char *path);
static int wsgi_home_has(const char *path, const char *name, int mode);
static int32_t wsgi_home_error(wsgi_err_t *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


int32_t
wsgi_home_find(wsgi_home_t *home, const nwsgi_config_t *conf, char *text,
    size_t len)
{
    wsgi_err_t   err;
    struct stat  st;

    err.text = text;
    err.len = len;
    text[0] = '\0';

    home->home = NULL;

    if (conf->executable && access(conf->executable, X_OK) != 0) {
        return wsgi_home_error(&err, "wsgi_python_executable \"%s\": %s",
                               conf->executable, strerror(errno));
    }

    if (conf->home == NULL) {
        return wsgi_home_by_executable(home, conf->executable, &err);
    }

    if (stat(conf->home, &st) != 0) {
        return wsgi_home_error(&err, "wsgi_python_home \"%s\": %s",
                               conf->home, strerror(errno));
    }

    if (!S_ISDIR(st.st_mode)) {
        return wsgi_home_error(&err,
                               "wsgi_python_home \"%s\" is not a directory",
                               conf->home);
    }

    return wsgi_home_has(conf->home, "pyvenv.cfg", R_OK)
           ? wsgi_home_venv(home, conf->home, &err)
           : wsgi_home_prefix(home, conf->home, &err);
}


/* No home: the executable says where Python is, as it does in a shell. */

static int32_t
wsgi_home_by_executable(wsgi_home_t *home, const char *path, wsgi_err_t *err)
{
    int   i;
    char  dir[PATH_MAX], *slash;

    if (path == NULL) {
        (void) snprintf(home->program, sizeof(home->program), "%s",
                        NWSGI_PYTHON);
        return NWSGI_OK;
    }

    (void) snprintf(home->program, sizeof(home->program), "%s", path);
    (void) snprintf(dir, sizeof(dir), "%s", path);

    for (i = 0; i < 2; i++) {
        slash = strrchr(dir, '/');
        if (slash == NULL) {
            return NWSGI_OK;
        }

        *slash = '\0';
    }

    if (wsgi_home_has(dir, "pyvenv.cfg", R_OK)) {
        return wsgi_home_version("the virtualenv", dir, "site-packages", err);
    }

    return NWSGI_OK;
}


static int32_t
wsgi_home_venv(wsgi_home_t *home, const char *path, wsgi_err_t *err)
{
    char     name[PATH_MAX], culprit[PATH_MAX];
    int32_t  rc;

    rc = wsgi_home_version("wsgi_python_home", path, "site-packages", err);
    if (rc != NWSGI_OK) {
        return rc;
    }

    if (!wsgi_home_bin(home, path)) {
        (void) snprintf(name, sizeof(name), "%s/bin/python", path);

        /* glibc leaves there how far it came, see realpath(3) */

        culprit[0] = '\0';

        if (realpath(name, culprit) != NULL) {
            (void) access(culprit, X_OK);
        }

        return wsgi_home_error(err, "wsgi_python_home \"%s\" is a virtualenv "
                               "without a bin/python that this worker's user "
                               "can run: \"%s\": %s", path, culprit,
                               strerror(errno));
    }

    return NWSGI_OK;
}


static int32_t
wsgi_home_prefix(wsgi_home_t *home, const char *path, wsgi_err_t *err)
{
    int32_t  rc;

    rc = wsgi_home_version("wsgi_python_home", path, "os.py", err);
    if (rc != NWSGI_OK) {
        return rc;
    }

    home->home = path;

    if (!wsgi_home_bin(home, path)) {

        /* a library without an executable: children are started by ours */

        (void) snprintf(home->program, sizeof(home->program), "%s",
                        NWSGI_PYTHON);
    }

    return NWSGI_OK;
}


/* Is "landmark" there for the version of libpython? */

static int32_t
wsgi_home_version(const char *what, const char *path, const char *landmark,
    wsgi_err_t *err)
{
    char  name[64], version[32];

    (void) snprintf(name, sizeof(name), "lib/python%d.%d/%s", PY_MAJOR_VERSION,
                    PY_MINOR_VERSION, landmark);
    if (wsgi_home_has(path, name, R_OK)) {
        return NWSGI_OK;
    }

    (void) snprintf(name, sizeof(name), "lib64/python%d.%d/%s",
                    PY_MAJOR_VERSION, PY_MINOR_VERSION, landmark);
    if (wsgi_home_has(path, name, R_OK)) {
        return NWSGI_OK;
    }

    if (wsgi_home_other(path, version, sizeof(version))) {
        return wsgi_home_error(err, "%s \"%s\" is for Python %s, but ngx_wsgi "
                               "was built with Python %d.%d", what, path,
                               version, PY_MAJOR_VERSION, PY_MINOR_VERSION);
    }

    return wsgi_home_error(err, "%s \"%s\" holds no Python that this worker's "
                           "user can read (ngx_wsgi was built with Python "
                           "%d.%d)", what, path, PY_MAJOR_VERSION,
                           PY_MINOR_VERSION);
}


/* 1: there is a library for another "version" ("3.9") of Python */

static int
wsgi_home_other(const char *path, char *version, size_t len)
{
    int             found;
    DIR            *dir;
    char            name[PATH_MAX];
    struct dirent  *entry;

    (void) snprintf(name, sizeof(name), "%s/lib", path);

    dir = opendir(name);
    if (dir == NULL) {
        return 0;
    }

    found = 0;

    while (!found && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "python", 6) == 0
            && strchr(entry->d_name, '.') != NULL)
        {
            (void) snprintf(version, len, "%s", entry->d_name + 6);
            found = 1;
        }
    }

    (void) closedir(dir);

    return found;
}


/* 1: home->program is an executable in bin/ */

static int
wsgi_home_bin(wsgi_home_t *home, const char *path)
{
    size_t       i;
    char         exact[32];
    const char  *names[] = { "bin/python", "bin/python3", exact };

    (void) snprintf(exact, sizeof(exact), "bin/python%d.%d", PY_MAJOR_VERSION,
                    PY_MINOR_VERSION);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (wsgi_home_has(path, names[i], X_OK)) {
            (void) snprintf(home->program, sizeof(home->program), "%s/%s",
                            path, names[i]);
            return 1;
        }
    }

    return 0;
}


static int
wsgi_home_has(const char *path, const char *name, int mode)
{
    int   n;
    char  file[PATH_MAX];

    n = snprintf(file, sizeof(file), "%s/%s", path, name);

    return n > 0 && (size_t) n < sizeof(file) && access(file, mode) == 0;
}


static int32_t
wsgi_home_error(wsgi_err_t *err, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(err->text, err->len, fmt, args);
    va_end(args);

    return NWSGI_ERROR;
}
