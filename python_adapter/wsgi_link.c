/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The callables that an application is given: start_response, the write() that
 * it returns, and those of environ.  Each is a link to the present request, cut
 * when its response has ended.
 *
 * They are made once for a thread and used again for its next request, unless
 * the application has kept a reference.
 */

#include <stddef.h>

#include "wsgi_python.h"


typedef struct {
    const char      *name;
    const char      *doc;
    vectorcallfunc   call;
} wsgi_link_type_t;


static PyObject *wsgi_link_disconnected(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);
static PyObject *wsgi_link_early_hints(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);
static int wsgi_link_type(PyObject *module, wsgi_link_e kind);
static int wsgi_link_renew(wsgi_thread_t *self, wsgi_link_e kind);
static void wsgi_link_dealloc(PyObject *self);


static const wsgi_link_type_t  wsgi_link_types[WSGI_NLINKS] = {

    { "ngx_wsgi.StartResponse",
      "start_response(status, headers, exc_info=None) -> write, see PEP 3333",
      wsgi_start_response },

    { "ngx_wsgi.Write",
      "write(data): sends data at once, see PEP 3333",
      wsgi_write },

    { "ngx_wsgi.Disconnected",
      "disconnected() -> bool: the client has gone, or the time is over",
      wsgi_link_disconnected },

    { "ngx_wsgi.EarlyHints",
      "early_hints(headers): sends a 103 response with these headers",
      wsgi_link_early_hints }
};


static PyMemberDef  wsgi_link_members[] = {
    { "__vectorcalloffset__", T_PYSSIZET, offsetof(wsgi_link_t, vectorcall),
      READONLY, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
wsgi_link_init(PyObject *module)
{
    int  kind;

    for (kind = 0; kind < WSGI_NLINKS; kind++) {
        if (wsgi_link_type(module, kind) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
wsgi_link_type(PyObject *module, wsgi_link_e kind)
{
    const wsgi_link_type_t  *type;

    type = &wsgi_link_types[kind];

    PyType_Slot  slots[] = {
        { Py_tp_dealloc, wsgi_link_dealloc },
        { Py_tp_call, PyVectorcall_Call },
        { Py_tp_members, wsgi_link_members },
        { Py_tp_doc, (void *) (uintptr_t) type->doc },
        { 0, NULL }
    };

    PyType_Spec  spec = {
        .name = type->name,
        .basicsize = sizeof(wsgi_link_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
        .slots = slots
    };

    return wsgi_module_type(module, &spec, &wsgi.link_types[kind]);
}


int
wsgi_link_bind(wsgi_thread_t *self, wsgi_request_t *request)
{
    int  kind;

    for (kind = 0; kind < WSGI_NLINKS; kind++) {

        if ((self->links[kind] == NULL || Py_REFCNT(self->links[kind]) != 1)
            && wsgi_link_renew(self, kind) != 0)
        {
            return -1;
        }

        self->links[kind]->request = request;
    }

    return 0;
}


/* The application has kept a reference to the old one, or there was none. */

static int
wsgi_link_renew(wsgi_thread_t *self, wsgi_link_e kind)
{
    wsgi_link_t  *link;

    link = PyObject_New(wsgi_link_t, wsgi.link_types[kind]);

    if (link == NULL) {
        return -1;
    }

    link->vectorcall = wsgi_link_types[kind].call;
    link->request = NULL;

    Py_XSETREF(self->links[kind], link);

    return 0;
}


void
wsgi_link_cut(wsgi_thread_t *self)
{
    int  kind;

    for (kind = 0; kind < WSGI_NLINKS; kind++) {
        if (self->links[kind]) {
            self->links[kind]->request = NULL;
        }
    }
}


void
wsgi_link_free(wsgi_thread_t *self)
{
    int  kind;

    for (kind = 0; kind < WSGI_NLINKS; kind++) {
        Py_CLEAR(self->links[kind]);
    }
}


static void
wsgi_link_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}


wsgi_request_t *
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
wsgi_link_disconnected(PyObject *self, PyObject *const *args, size_t nargsf,
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


static PyObject *
wsgi_link_early_hints(PyObject *self, PyObject *const *args, size_t nargsf,
    PyObject *kwnames)
{
    int              rc;
    wsgi_head_t      hints;
    wsgi_request_t  *request;

    request = wsgi_link_request(self);
    if (request == NULL) {
        return NULL;
    }

    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames) {
        PyErr_SetString(PyExc_TypeError, "early_hints() takes one argument");
        return NULL;
    }

    memset(&hints, 0, sizeof(wsgi_head_t));

    rc = wsgi_head_fields(request, &hints, args[0]);

    /* after the head it is too late: a hint may be left out (RFC 8297) */

    if (rc == 0 && request->state < WSGI_SENT) {
        (void) wsgi_host->early_hints(request->job, hints.fields,
                                      hints.nfields);
    }

    wsgi_head_free(&hints);

    if (rc != 0) {
        return NULL;
    }

    Py_RETURN_NONE;
}
