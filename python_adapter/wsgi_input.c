/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi.input: the request body as a binary stream, with the methods of PEP
 * 3333 ("Input and Error Streams") and those that io.BufferedReader and
 * io.TextIOWrapper ask of a raw stream.  It ends where the body ends
 * (wsgi.input_terminated).
 *
 * Valid until the response has ended, after which every method raises.  Two
 * threads that read at once get an exception, not each other's bytes.
 */

#include "wsgi_python.h"


struct wsgi_input_s {
    PyObject_HEAD
    wsgi_body_t   body;         /* body.request: NULL when it has ended */
    int           busy;
};


static int wsgi_input_enter(wsgi_input_t *in);
static Py_ssize_t wsgi_input_size(PyObject *const *args, Py_ssize_t nargs,
    const char *name);
static PyObject *wsgi_input_call(PyObject *self, PyObject *const *args,
    Py_ssize_t nargs, const char *name,
    PyObject *(*method)(wsgi_body_t *, Py_ssize_t));
static PyObject *wsgi_input_lines(wsgi_body_t *body, Py_ssize_t hint);


int
wsgi_input_bind(wsgi_thread_t *self, wsgi_request_t *request)
{
    if (self->input && Py_REFCNT(self->input) != 1) {
        Py_CLEAR(self->input);
    }

    if (self->input == NULL) {
        self->input = PyObject_New(wsgi_input_t, wsgi.input_type);

        if (self->input == NULL) {
            return -1;
        }

        self->input->body.buffer = NULL;
        self->input->busy = 0;
    }

    wsgi_body_open(&self->input->body, request);

    return 0;
}


void
wsgi_input_cut(wsgi_thread_t *self)
{
    if (self->input) {
        self->input->body.request = NULL;
        wsgi_body_free(&self->input->body);
    }
}


static void
wsgi_input_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    wsgi_body_free(&((wsgi_input_t *) self)->body);
    PyObject_Free(self);
    Py_DECREF(type);
}


static PyObject *
wsgi_input_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    return wsgi_input_call(self, args, nargs, "read", wsgi_body_read);
}


static PyObject *
wsgi_input_read1(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    return wsgi_input_call(self, args, nargs, "read1", wsgi_body_read1);
}


static PyObject *
wsgi_input_readline(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    return wsgi_input_call(self, args, nargs, "readline", wsgi_body_line);
}


static PyObject *
wsgi_input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    return wsgi_input_call(self, args, nargs, "readlines", wsgi_input_lines);
}


static PyObject *
wsgi_input_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
    const char *name, PyObject *(*method)(wsgi_body_t *, Py_ssize_t))
{
    PyObject      *result;
    Py_ssize_t     size;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    size = wsgi_input_size(args, nargs, name);

    if (size == -2 || wsgi_input_enter(in) != 0) {
        return NULL;
    }

    result = method(&in->body, size);
    in->busy = 0;

    return result;
}


static PyObject *
wsgi_input_lines(wsgi_body_t *body, Py_ssize_t hint)
{
    int          rc;
    PyObject    *lines, *line;
    Py_ssize_t   total, n;

    lines = PyList_New(0);
    total = 0;

    while (lines && (hint <= 0 || total < hint)) {

        line = wsgi_body_line(body, -1);
        n = line ? PyBytes_GET_SIZE(line) : 0;
        rc = line ? 0 : -1;

        if (n) {
            total += n;
            rc = PyList_Append(lines, line);
        }

        Py_XDECREF(line);

        if (rc != 0) {
            Py_CLEAR(lines);
        }

        if (n == 0) {
            break;
        }
    }

    return lines;
}


static PyObject *
wsgi_input_readinto(PyObject *self, PyObject *object)
{
    Py_ssize_t     n;
    Py_buffer      view;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    if (PyObject_GetBuffer(object, &view, PyBUF_WRITABLE) != 0) {
        return NULL;
    }

    n = -1;

    if (wsgi_input_enter(in) == 0) {
        n = wsgi_body_readinto(&in->body, view.buf, view.len);
        in->busy = 0;
    }

    PyBuffer_Release(&view);

    return (n == -1) ? NULL : PyLong_FromSsize_t(n);
}


static PyObject *
wsgi_input_next(PyObject *self)
{
    PyObject  *line;

    line = wsgi_input_call(self, NULL, 0, "readline", wsgi_body_line);

    if (line && PyBytes_GET_SIZE(line) == 0) {
        Py_CLEAR(line);
    }

    return line;
}


/*
 * Takes the object for the present call.  A call of another thread meets
 * "busy" when this one has given up the GIL to wait for bytes.
 */

static int
wsgi_input_enter(wsgi_input_t *in)
{
    if (in->body.request == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "wsgi.input is read after its request has ended");
        return -1;
    }

    if (in->busy) {
        PyErr_SetString(PyExc_RuntimeError,
                        "wsgi.input is read by another thread");
        return -1;
    }

    in->busy = 1;

    return 0;
}


/* The one argument of the read methods: -1 for none, -2 on an error. */

static Py_ssize_t
wsgi_input_size(PyObject *const *args, Py_ssize_t nargs, const char *name)
{
    Py_ssize_t  size;

    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most 1 argument, %zd given", name, nargs);
        return -2;
    }

    if (nargs == 0 || args[0] == Py_None) {
        return -1;
    }

    size = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);

    if (size == -1 && PyErr_Occurred()) {
        return -2;
    }

    return (size < 0) ? -1 : size;
}


/* As io does: UnsupportedOperation when there is no file. */

static PyObject *
wsgi_input_fileno(PyObject *self, PyObject *unused)
{
    PyObject        *io, *error;
    wsgi_request_t  *request;

    (void) unused;

    request = ((wsgi_input_t *) self)->body.request;

    if (request && (request->block->flags & NWSGI_BLOCK_BODY_FILE)) {
        return PyLong_FromLong(request->block->body_fd);
    }

    io = PyImport_ImportModule("io");
    error = io ? PyObject_GetAttrString(io, "UnsupportedOperation") : NULL;

    if (error) {
        PyErr_SetString(error, "the request body is not in a file");
    }

    Py_XDECREF(error);
    Py_XDECREF(io);

    return NULL;
}


static PyObject *
wsgi_input_close(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    /* the stream is the server's: what is not read is nginx's to drain */

    Py_RETURN_NONE;
}


static PyObject *
wsgi_input_true(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_TRUE;
}


static PyObject *
wsgi_input_false(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_FALSE;
}


static PyObject *
wsgi_input_closed(PyObject *self, void *unused)
{
    (void) unused;

    return PyBool_FromLong(((wsgi_input_t *) self)->body.request == NULL);
}


#define WSGI_FASTCALL(f)  ((PyCFunction) (void (*)(void)) (f))

static PyMethodDef  wsgi_input_methods[] = {
    { "read", WSGI_FASTCALL(wsgi_input_read), METH_FASTCALL,
      "read(size=-1) -> bytes" },
    { "read1", WSGI_FASTCALL(wsgi_input_read1), METH_FASTCALL,
      "read1(size=-1) -> bytes" },
    { "readline", WSGI_FASTCALL(wsgi_input_readline), METH_FASTCALL,
      "readline(size=-1) -> bytes" },
    { "readlines", WSGI_FASTCALL(wsgi_input_readlines), METH_FASTCALL,
      "readlines(hint=-1) -> list of bytes" },
    { "readinto", wsgi_input_readinto, METH_O,
      "readinto(buffer) -> number of bytes" },
    { "fileno", wsgi_input_fileno, METH_NOARGS,
      "fileno() -> the descriptor of nginx's temp file, for os.sendfile(),\n"
      "os.copy_file_range() and os.pread(); its offset is at the start" },
    { "close", wsgi_input_close, METH_NOARGS,
      "close(): does nothing, the stream is the server's" },
    { "flush", wsgi_input_close, METH_NOARGS, NULL },
    { "readable", wsgi_input_true, METH_NOARGS, NULL },
    { "writable", wsgi_input_false, METH_NOARGS, NULL },
    { "seekable", wsgi_input_false, METH_NOARGS, NULL },
    { "isatty", wsgi_input_false, METH_NOARGS, NULL },
    { NULL, NULL, 0, NULL }
};


static PyGetSetDef  wsgi_input_getset[] = {
    { "closed", wsgi_input_closed, NULL, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL }
};


static PyType_Slot  wsgi_input_slots[] = {
    { Py_tp_dealloc, wsgi_input_dealloc },
    { Py_tp_iter, PyObject_SelfIter },
    { Py_tp_iternext, wsgi_input_next },
    { Py_tp_methods, wsgi_input_methods },
    { Py_tp_getset, wsgi_input_getset },
    { Py_tp_doc, (void *) "wsgi.input: the request body, see PEP 3333" },
    { 0, NULL }
};


static PyType_Spec  wsgi_input_spec = {
    .name = "ngx_wsgi.Input",
    .basicsize = sizeof(wsgi_input_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = wsgi_input_slots
};


int
wsgi_input_init(PyObject *module)
{
    return wsgi_module_type(module, &wsgi_input_spec, &wsgi.input_type);
}
