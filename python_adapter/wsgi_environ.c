/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * environ (PEP 3333, "environ Variables").  What is the same for all requests
 * of a pool is prepared once and copied; what the host says of a request comes
 * as a list of variables; the callables and wsgi.input are added last, so that
 * no variable can stand in for them.
 */

#include "wsgi_python.h"


static PyObject  *wsgi_key_input;
static PyObject  *wsgi_key_disconnected;
static PyObject  *wsgi_key_early_hints;
static PyObject  *wsgi_key_queue_start;


static int wsgi_environ_constants(PyObject *environ,
    const nwsgi_config_t *conf, uint32_t pool);
static int wsgi_environ_put(PyObject *environ, const char *key,
    PyObject *value);
static int wsgi_environ_vars(PyObject *environ, const nwsgi_block_t *block);
static int wsgi_environ_objects(PyObject *environ, wsgi_request_t *request);


int
wsgi_environ_init(const nwsgi_config_t *conf)
{
    uint32_t  i;

    wsgi_key_input = PyUnicode_InternFromString("wsgi.input");
    wsgi_key_disconnected = PyUnicode_InternFromString("nginx.disconnected");
    wsgi_key_early_hints = PyUnicode_InternFromString("wsgi.early_hints");
    wsgi_key_queue_start = PyUnicode_InternFromString("nginx.queue_start");

    if (wsgi_key_input == NULL
        || wsgi_key_disconnected == NULL
        || wsgi_key_early_hints == NULL
        || wsgi_key_queue_start == NULL)
    {
        return -1;
    }

    wsgi.environs = PyMem_Calloc(conf->npools, sizeof(PyObject *));
    if (wsgi.environs == NULL) {
        PyErr_NoMemory();
        return -1;
    }

    wsgi.npools = conf->npools;

    for (i = 0; i < conf->npools; i++) {
        wsgi.environs[i] = PyDict_New();

        if (wsgi.environs[i] == NULL
            || wsgi_environ_constants(wsgi.environs[i], conf, i) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
wsgi_environ_constants(PyObject *environ, const nwsgi_config_t *conf,
    uint32_t pool)
{
    PyObject  *version, *ident, *cgi;

    version = Py_BuildValue("(ii)", 1, 0);
    ident = PyUnicode_DecodeLatin1(conf->ident, conf->ident_len, NULL);
    cgi = PyUnicode_FromString("CGI/1.1");

    if (wsgi_environ_put(environ, "wsgi.version", version) != 0
        || wsgi_environ_put(environ, "SERVER_SOFTWARE", ident) != 0
        || wsgi_environ_put(environ, "GATEWAY_INTERFACE", cgi) != 0
        || wsgi_environ_put(environ, "wsgi.errors",
                            Py_NewRef(wsgi.errors)) != 0
        || wsgi_environ_put(environ, "wsgi.multithread",
                      PyBool_FromLong(conf->pools[pool].threads > 1)) != 0
        || wsgi_environ_put(environ, "wsgi.multiprocess",
                            PyBool_FromLong(conf->workers > 1)) != 0
        || wsgi_environ_put(environ, "wsgi.run_once",
                            PyBool_FromLong(0)) != 0
        || wsgi_environ_put(environ, "wsgi.input_terminated",
                            PyBool_FromLong(1)) != 0
        || wsgi_environ_put(environ, "wsgi.file_wrapper",
                      Py_NewRef((PyObject *) wsgi.file_wrapper_type)) != 0)
    {
        return -1;
    }

    return 0;
}


/* Takes over the reference to "value", which may be NULL after an error. */

static int
wsgi_environ_put(PyObject *environ, const char *key, PyObject *value)
{
    int  rc;

    rc = value ? PyDict_SetItemString(environ, key, value) : -1;
    Py_XDECREF(value);

    return rc;
}


void
wsgi_environ_free(void)
{
    uint32_t  i;

    for (i = 0; i < wsgi.npools; i++) {
        Py_CLEAR(wsgi.environs[i]);
    }

    PyMem_Free(wsgi.environs);
    wsgi.environs = NULL;
    wsgi.npools = 0;

    Py_CLEAR(wsgi_key_input);
    Py_CLEAR(wsgi_key_disconnected);
    Py_CLEAR(wsgi_key_early_hints);
    Py_CLEAR(wsgi_key_queue_start);
}


/* New reference. */

PyObject *
wsgi_environ_new(wsgi_request_t *request)
{
    PyObject  *environ;

    environ = PyDict_Copy(wsgi.environs[request->thread->pool]);
    if (environ == NULL) {
        return NULL;
    }

    if (wsgi_environ_vars(environ, request->block) != 0
        || wsgi_environ_objects(environ, request) != 0)
    {
        Py_DECREF(environ);
        return NULL;
    }

    return environ;
}


static int
wsgi_environ_vars(PyObject *environ, const nwsgi_block_t *block)
{
    int        rc;
    uint32_t   i;
    PyObject  *key, *value;

    for (i = 0; i < block->nvars; i++) {

        if (wsgi_names_get(block, &block->vars[i], &key, &value) != 0) {
            return -1;
        }

        rc = PyDict_SetItem(environ, key, value);

        Py_DECREF(key);
        Py_DECREF(value);

        if (rc != 0) {
            return -1;
        }
    }

    return 0;
}


static int
wsgi_environ_objects(PyObject *environ, wsgi_request_t *request)
{
    int             rc;
    PyObject       *start;
    wsgi_thread_t  *self;

    self = request->thread;

    start = PyFloat_FromDouble((double) request->block->queued_usec / 1e6);
    if (start == NULL) {
        return -1;
    }

    rc = PyDict_SetItem(environ, wsgi_key_queue_start, start);
    Py_DECREF(start);

    if (rc != 0
        || PyDict_SetItem(environ, wsgi_key_input,
                          (PyObject *) self->input) != 0
        || PyDict_SetItem(environ, wsgi_key_disconnected,
                          (PyObject *) self->links[WSGI_DISCONNECTED]) != 0)
    {
        return -1;
    }

    if (wsgi_host->early_hints) {
        return PyDict_SetItem(environ, wsgi_key_early_hints,
                              (PyObject *) self->links[WSGI_EARLY_HINTS]);
    }

    return 0;
}
