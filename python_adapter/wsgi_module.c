/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The built-in module "_ngx_wsgi": the types that applications meet, their
 * exceptions, and what ngx_wsgi_boot needs of C.
 */

#include "wsgi_python.h"


wsgi_module_t  wsgi;


static int wsgi_module_exceptions(PyObject *module);
static int wsgi_module_exception(PyObject *module, const char *name,
    const char *doc, PyObject *base, PyObject **exception);


/* os.register_at_fork(after_in_child=...) */

static PyObject *
wsgi_module_forked(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    wsgi_forked = 1;
    wsgi_host->forked();

    Py_RETURN_NONE;
}


static PyMethodDef  wsgi_module_methods[] = {
    { "forked", wsgi_module_forked, METH_NOARGS,
      "forked(): in a child, lets go of nginx's descriptors" },
    { NULL, NULL, 0, NULL }
};


static PyModuleDef  wsgi_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_ngx_wsgi",
    .m_doc = "The C side of ngx_wsgi.",
    .m_size = -1,
    .m_methods = wsgi_module_methods
};


/* python, before Python starts: PyImport_AppendInittab("_ngx_wsgi", ...) */

PyObject *
wsgi_module_create(void)
{
    PyObject  *module;

    module = PyModule_Create(&wsgi_module_def);
    if (module == NULL) {
        return NULL;
    }

    if (wsgi_module_exceptions(module) != 0
        || wsgi_errors_init(module) != 0
        || wsgi_input_init(module) != 0
        || wsgi_file_init(module) != 0
        || wsgi_link_init(module) != 0)
    {
        Py_DECREF(module);
        return NULL;
    }

    return module;
}


int
wsgi_module_init(void *boot, const nwsgi_config_t *conf)
{
    wsgi.apps = PyMem_Calloc(conf->napps, sizeof(PyObject *));
    if (wsgi.apps == NULL) {
        PyErr_NoMemory();
        return -1;
    }

    wsgi.napps = conf->napps;
    wsgi.boot = Py_NewRef((PyObject *) boot);

    wsgi.remote_user = PyUnicode_InternFromString("REMOTE_USER");
    if (wsgi.remote_user == NULL) {
        return -1;
    }

    if (wsgi_dump_init() != 0) {

        /* requests do not need it */

        wsgi_call_failed(NULL, "start");
    }

    return wsgi_environ_init(conf);
}


void
wsgi_module_free(void)
{
    uint32_t  i;

    wsgi_owner_drop_all();
    wsgi_environ_free();
    wsgi_names_free();

    for (i = 0; i < wsgi.napps; i++) {
        Py_CLEAR(wsgi.apps[i]);
    }

    for (i = 0; i < WSGI_NLINKS; i++) {
        Py_CLEAR(wsgi.link_types[i]);
    }

    PyMem_Free(wsgi.apps);
    wsgi.apps = NULL;
    wsgi.napps = 0;

    Py_CLEAR(wsgi.boot);
    Py_CLEAR(wsgi.errors);
    Py_CLEAR(wsgi.remote_user);
    Py_CLEAR(wsgi.input_type);
    Py_CLEAR(wsgi.errors_type);
    Py_CLEAR(wsgi.file_wrapper_type);
    Py_CLEAR(wsgi.request_timeout);
    Py_CLEAR(wsgi.request_cancelled);
    Py_CLEAR(wsgi.client_disconnected);
}


static int
wsgi_module_exceptions(PyObject *module)
{
    if (wsgi_module_exception(module, "ngx_wsgi.RequestTimeout",
            "The request took longer than wsgi_timeout and was answered 504.",
            PyExc_BaseException, &wsgi.request_timeout) != 0
        || wsgi_module_exception(module, "ngx_wsgi.RequestCancelled",
            "The client has gone, and wsgi_cancel is raise.",
            PyExc_BaseException, &wsgi.request_cancelled) != 0
        || wsgi_module_exception(module, "ngx_wsgi.ClientDisconnected",
            "The client has gone: nothing to read from, or to write to.",
            PyExc_ConnectionError, &wsgi.client_disconnected) != 0)
    {
        return -1;
    }

    return 0;
}


/*
 * What is raised in a thread from outside is no Exception: a loop of the
 * application that survives "except Exception" has to end, too.
 */

static int
wsgi_module_exception(PyObject *module, const char *name, const char *doc,
    PyObject *base, PyObject **exception)
{
    *exception = PyErr_NewExceptionWithDoc(name, doc, base, NULL);

    if (*exception == NULL) {
        return -1;
    }

    return PyObject_SetAttrString(module, strrchr(name, '.') + 1, *exception);
}


int
wsgi_module_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    PyObject    *object;
    const char  *name;

    object = PyType_FromSpec(spec);
    if (object == NULL) {
        return -1;
    }

    *type = (PyTypeObject *) object;
    name = strrchr(spec->name, '.') + 1;

    return PyObject_SetAttrString(module, name, object);
}
