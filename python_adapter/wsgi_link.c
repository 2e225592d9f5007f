/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The callables that an application is given: start_response, the write() that
 * it returns, and environ['nginx.disconnected'].  Each is a link to the
 * present request, cut when its response has ended.
 *
 * They are made once for a thread and used again for its next request, unless
 * the application has kept a reference.
 */

#include <stddef.h>

#include "wsgi_python.h"


static wsgi_link_t *wsgi_link_get(wsgi_link_t *link, PyTypeObject *type,
    vectorcallfunc call);
static void wsgi_link_dealloc(PyObject *self);
static wsgi_request_t *wsgi_link_request(PyObject *self);

static PyObject *wsgi_start_response(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);
static int wsgi_start_arguments(PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames, PyObject *out[3]);
static int wsgi_start_allowed(wsgi_request_t *request, PyObject *exc_info);
static PyObject *wsgi_write(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);
static PyObject *wsgi_disconnected(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);


static PyMemberDef  wsgi_link_members[] = {
    { "__vectorcalloffset__", T_PYSSIZET, offsetof(wsgi_link_t, vectorcall),
      READONLY, NULL },
    { NULL, 0, 0, 0, NULL }
};


#define WSGI_LINK_TYPE(id, pyname, text)                                      \
                                                                              \
    static PyType_Slot  id##_slots[] = {                                      \
        { Py_tp_dealloc, wsgi_link_dealloc },                                 \
        { Py_tp_call, PyVectorcall_Call },                                    \
        { Py_tp_members, wsgi_link_members },                                 \
        { Py_tp_doc, (void *) text },                                         \
        { 0, NULL }                                                           \
    };                                                                        \
                                                                              \
    static PyType_Spec  id##_spec = {                                         \
        .name = pyname,                                                       \
        .basicsize = sizeof(wsgi_link_t),                                     \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,             \
        .slots = id##_slots                                                   \
    }

WSGI_LINK_TYPE(wsgi_start_response, "ngx_wsgi.StartResponse",
    "start_response(status, headers, exc_info=None) -> write, see PEP 3333");

WSGI_LINK_TYPE(wsgi_write, "ngx_wsgi.Write",
    "write(data): sends data at once, see PEP 3333");

WSGI_LINK_TYPE(wsgi_disconnected, "ngx_wsgi.Disconnected",
    "disconnected() -> bool: the client has gone, or the time is over");


int
wsgi_link_init(PyObject *module)
{
    if (wsgi_module_type(module, &wsgi_start_response_spec,
                         &wsgi.start_response_type) != 0
        || wsgi_module_type(module, &wsgi_write_spec, &wsgi.write_type) != 0
        || wsgi_module_type(module, &wsgi_disconnected_spec,
                            &wsgi.disconnected_type) != 0)
    {
        return -1;
    }

    return 0;
}


int
wsgi_link_bind(wsgi_thread_t *self, wsgi_request_t *request)
{
    self->start_response = wsgi_link_get(self->start_response,
                                         wsgi.start_response_type,
                                         wsgi_start_response);
    self->write = wsgi_link_get(self->write, wsgi.write_type, wsgi_write);
    self->disconnected = wsgi_link_get(self->disconnected,
                                       wsgi.disconnected_type,
                                       wsgi_disconnected);

    if (self->start_response == NULL
        || self->write == NULL
        || self->disconnected == NULL)
    {
        return -1;
    }

    self->start_response->request = request;
    self->write->request = request;
    self->disconnected->request = request;

    return 0;
}


/* The old one if nobody else has it, or a new one. */

static wsgi_link_t *
wsgi_link_get(wsgi_link_t *link, PyTypeObject *type, vectorcallfunc call)
{
    if (link && Py_REFCNT(link) == 1) {
        return link;
    }

    Py_XDECREF(link);

    link = PyObject_New(wsgi_link_t, type);

    if (link) {
        link->vectorcall = call;
        link->request = NULL;
    }

    return link;
}


void
wsgi_link_cut(wsgi_thread_t *self)
{
    if (self->start_response) {
        self->start_response->request = NULL;
    }

    if (self->write) {
        self->write->request = NULL;
    }

    if (self->disconnected) {
        self->disconnected->request = NULL;
    }
}


void
wsgi_link_free(wsgi_thread_t *self)
{
    Py_CLEAR(self->start_response);
    Py_CLEAR(self->write);
    Py_CLEAR(self->disconnected);
    Py_CLEAR(self->input);
}


static void
wsgi_link_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}


static wsgi_request_t *
wsgi_link_request(PyObject *self)
{
    wsgi_request_t  *request;

    request = ((wsgi_link_t *) self)->request;

    if (request == NULL) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s is called after its request has ended",
                     Py_TYPE(self)->tp_name);
        return NULL;
    }

    if (wsgi_thread_request() != request) {

        /* the request could end while another thread waits for its client */

        PyErr_Format(PyExc_RuntimeError,
                     "%s is called from a thread that does not run its "
                     "request", Py_TYPE(self)->tp_name);
        return NULL;
    }

    return request;
}


static PyObject *
wsgi_start_response(PyObject *self, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
    PyObject        *arg[3];
    wsgi_request_t  *request;

    request = wsgi_link_request(self);

    if (request == NULL
        || wsgi_start_arguments(args, PyVectorcall_NARGS(nargsf), kwnames,
                                arg) != 0
        || wsgi_start_allowed(request, arg[2]) != 0)
    {
        return NULL;
    }

    if (wsgi_head_set(request, arg[0], arg[1]) != 0) {
        request->state = WSGI_NOT_STARTED;
        return NULL;
    }

    request->state = WSGI_STARTED;

    return Py_NewRef((PyObject *) request->thread->write);
}


/* Borrowed references; exc_info may be NULL. */

static int
wsgi_start_arguments(PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames, PyObject *out[3])
{
    Py_ssize_t  i;

    /* PEP 3333: the arguments are positional; exc_info=... is seen in use */

    if (nargs < 2 || nargs > 3) {
        PyErr_Format(PyExc_TypeError,
                     "start_response() takes 2 or 3 positional arguments, "
                     "%zd given", nargs);
        return -1;
    }

    out[0] = args[0];
    out[1] = args[1];
    out[2] = (nargs == 3) ? args[2] : NULL;

    for (i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {

        if (nargs == 3
            || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i),
                                                "exc_info") != 0)
        {
            PyErr_Format(PyExc_TypeError,
                         "start_response() got an unexpected keyword "
                         "argument %R", PyTuple_GET_ITEM(kwnames, i));
            return -1;
        }

        out[2] = args[nargs + i];
    }

    if (out[2] == Py_None) {
        out[2] = NULL;
    }

    if (out[2] && (!PyTuple_Check(out[2]) || PyTuple_GET_SIZE(out[2]) != 3)) {
        PyErr_SetString(PyExc_TypeError,
                        "exc_info must be a tuple as sys.exc_info() returns");
        return -1;
    }

    return 0;
}


/*
 * PEP 3333: a second call without exc_info is an error; with it the head is
 * replaced, or, when it has been sent, the exception is raised again.
 */

static int
wsgi_start_allowed(wsgi_request_t *request, PyObject *exc_info)
{
    PyObject  *type, *value, *traceback;

    if (request->state == WSGI_NOT_STARTED) {
        return 0;
    }

    if (exc_info == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "start_response() was called already, and this call "
                        "has no exc_info");
        return -1;
    }

    if (request->state == WSGI_STARTED) {
        return 0;
    }

    type = PyTuple_GET_ITEM(exc_info, 0);
    value = PyTuple_GET_ITEM(exc_info, 1);
    traceback = PyTuple_GET_ITEM(exc_info, 2);

    if (!PyExceptionClass_Check(type)) {
        PyErr_SetString(PyExc_TypeError,
                        "exc_info must hold an exception: the head of the "
                        "response has been sent already");
        return -1;
    }

    PyErr_Restore(Py_NewRef(type), Py_NewRef(value),
                  PyTraceBack_Check(traceback) ? Py_NewRef(traceback) : NULL);

    return -1;
}


static PyObject *
wsgi_write(PyObject *self, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
    wsgi_request_t  *request;

    request = wsgi_link_request(self);
    if (request == NULL) {
        return NULL;
    }

    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames) {
        PyErr_SetString(PyExc_TypeError, "write() takes one argument");
        return NULL;
    }

    if (wsgi_response_chunk(request, args[0]) != 0) {
        return NULL;
    }

    if (request->gone) {
        PyErr_SetString(wsgi.client_disconnected,
                        "nobody waits for this response any more");
        return NULL;
    }

    Py_RETURN_NONE;
}


static PyObject *
wsgi_disconnected(PyObject *self, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
    wsgi_request_t  *request;

    (void) args;

    if (PyVectorcall_NARGS(nargsf) != 0 || kwnames) {
        PyErr_SetString(PyExc_TypeError, "disconnected() takes no arguments");
        return NULL;
    }

    request = ((wsgi_link_t *) self)->request;

    return PyBool_FromLong(request == NULL
                           || request->gone
                           || wsgi_host->gone(request->job));
}
