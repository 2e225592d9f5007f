/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * start_response() and write(), PEP 3333, "The start_response() Callable".
 */

#include "wsgi_python.h"


static int wsgi_start_arguments(PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames, PyObject *out[3]);
static int wsgi_start_allowed(wsgi_request_t *request, PyObject *exc_info);


PyObject *
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

    return Py_NewRef((PyObject *) request->thread->links[WSGI_WRITE]);
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


PyObject *
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
