/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi.input: the request body as a binary stream, with the methods of PEP
 * 3333 ("Input and Error Streams") and those that io.BufferedReader and
 * io.TextIOWrapper ask of a raw stream.  It ends where the body ends
 * (wsgi.input_terminated).
 *
 * Bytes come through a window: the block's own memory when nginx held the body
 * there, or a buffer that is filled from nginx's temp file without the GIL.
 *
 * Valid until the response has ended, after which every method raises.  Two
 * threads that read at once get an exception, not each other's bytes.
 */

#include <errno.h>
#include <unistd.h>

#include "wsgi_python.h"


#define WSGI_INPUT_WINDOW  16384


struct wsgi_input_s {
    PyObject_HEAD
    const nwsgi_block_t  *block;        /* NULL: the request has ended */
    const uint8_t        *pos;          /* the window */
    const uint8_t        *end;
    uint64_t              offset;       /* of the window's end in the body */
    uint8_t              *buffer;       /* ours, or NULL */
    int                   busy;
};


static int wsgi_input_enter(wsgi_input_t *in);
static Py_ssize_t wsgi_input_size(PyObject *const *args, Py_ssize_t nargs,
    const char *name);
static PyObject *wsgi_input_take(wsgi_input_t *in, Py_ssize_t size);
static Py_ssize_t wsgi_input_copy(wsgi_input_t *in, uint8_t *p, Py_ssize_t n);
static Py_ssize_t wsgi_input_pread(wsgi_input_t *in, uint8_t *p, size_t n);
static int wsgi_input_fill(wsgi_input_t *in);
static PyObject *wsgi_input_line(wsgi_input_t *in, Py_ssize_t size);
static uint64_t wsgi_input_left(wsgi_input_t *in);


int
wsgi_input_bind(wsgi_thread_t *self, wsgi_request_t *request)
{
    wsgi_input_t         *in;
    const nwsgi_block_t  *block;

    if (self->input && Py_REFCNT(self->input) != 1) {
        Py_CLEAR(self->input);
    }

    if (self->input == NULL) {
        self->input = PyObject_New(wsgi_input_t, wsgi.input_type);

        if (self->input == NULL) {
            return -1;
        }

        self->input->buffer = NULL;
    }

    in = self->input;
    block = request->block;

    in->block = block;
    in->busy = 0;
    in->pos = NULL;
    in->end = NULL;
    in->offset = 0;

    if (block->flags & NWSGI_BLOCK_BODY_MEMORY) {
        in->pos = nwsgi_data(block, block->body);
        in->end = in->pos + block->body.len;
        in->offset = block->body.len;
    }

    return 0;
}


void
wsgi_input_cut(wsgi_thread_t *self)
{
    wsgi_input_t  *in;

    in = self->input;

    if (in == NULL) {
        return;
    }

    in->block = NULL;

    if (!in->busy) {
        PyMem_Free(in->buffer);
        in->buffer = NULL;
    }
}


static void
wsgi_input_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyMem_Free(((wsgi_input_t *) self)->buffer);
    PyObject_Free(self);
    Py_DECREF(type);
}


static PyObject *
wsgi_input_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject      *data;
    Py_ssize_t     size;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    size = wsgi_input_size(args, nargs, "read");

    if (size == -2 || wsgi_input_enter(in) != 0) {
        return NULL;
    }

    data = wsgi_input_take(in, size);
    in->busy = 0;

    return data;
}


static PyObject *
wsgi_input_readline(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject      *line;
    Py_ssize_t     size;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    size = wsgi_input_size(args, nargs, "readline");

    if (size == -2 || wsgi_input_enter(in) != 0) {
        return NULL;
    }

    line = wsgi_input_line(in, size);
    in->busy = 0;

    return line;
}


static PyObject *
wsgi_input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int            rc;
    PyObject      *lines, *line;
    Py_ssize_t     hint, total;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    hint = wsgi_input_size(args, nargs, "readlines");

    if (hint == -2 || wsgi_input_enter(in) != 0) {
        return NULL;
    }

    lines = PyList_New(0);
    total = 0;
    rc = lines ? 0 : -1;

    while (rc == 0 && (hint <= 0 || total < hint)) {

        line = wsgi_input_line(in, -1);
        if (line == NULL) {
            rc = -1;
            break;
        }

        if (PyBytes_GET_SIZE(line) == 0) {
            Py_DECREF(line);
            break;
        }

        total += PyBytes_GET_SIZE(line);
        rc = PyList_Append(lines, line);
        Py_DECREF(line);
    }

    in->busy = 0;

    if (rc != 0) {
        Py_CLEAR(lines);
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
        n = wsgi_input_copy(in, view.buf, view.len);
        in->busy = 0;
    }

    PyBuffer_Release(&view);

    return (n == -1) ? NULL : PyLong_FromSsize_t(n);
}


static PyObject *
wsgi_input_next(PyObject *self)
{
    PyObject      *line;
    wsgi_input_t  *in;

    in = (wsgi_input_t *) self;

    if (wsgi_input_enter(in) != 0) {
        return NULL;
    }

    line = wsgi_input_line(in, -1);
    in->busy = 0;

    if (line && PyBytes_GET_SIZE(line) == 0) {
        Py_CLEAR(line);
    }

    return line;
}


/*
 * Takes the object for the present call.  A call of another thread meets
 * "busy" when this one has given up the GIL to read the file.
 */

static int
wsgi_input_enter(wsgi_input_t *in)
{
    if (in->block == NULL) {
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


static uint64_t
wsgi_input_left(wsgi_input_t *in)
{
    return (uint64_t) (in->end - in->pos) + in->block->body_len - in->offset;
}


static PyObject *
wsgi_input_take(wsgi_input_t *in, Py_ssize_t size)
{
    uint64_t     left;
    PyObject    *data;
    Py_ssize_t   n;

    left = wsgi_input_left(in);

    if (size == -1 || (uint64_t) size > left) {
        size = (Py_ssize_t) left;
    }

    data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL) {
        return NULL;
    }

    n = wsgi_input_copy(in, (uint8_t *) PyBytes_AS_STRING(data), size);

    if (n == -1) {
        Py_DECREF(data);
        return NULL;
    }

    if (n < size) {
        (void) _PyBytes_Resize(&data, n);
    }

    return data;
}


/* Copies up to "n" bytes: what the window has, then straight from the file. */

static Py_ssize_t
wsgi_input_copy(wsgi_input_t *in, uint8_t *p, Py_ssize_t n)
{
    Py_ssize_t  have, got;

    have = in->end - in->pos;

    if (have > n) {
        have = n;
    }

    if (have) {
        memcpy(p, in->pos, (size_t) have);
        in->pos += have;
    }

    while (have < n) {
        got = wsgi_input_pread(in, p + have, (size_t) (n - have));

        if (got <= 0) {
            return (got == 0) ? have : -1;
        }

        have += got;
    }

    return have;
}


/* The next bytes of the file; 0 at its end, -1 on an error. */

static Py_ssize_t
wsgi_input_pread(wsgi_input_t *in, uint8_t *p, size_t n)
{
    int       fd, err;
    ssize_t   got;
    uint64_t  left, offset;

    left = in->block->body_len - in->offset;

    if (left == 0 || !(in->block->flags & NWSGI_BLOCK_BODY_FILE)) {
        return 0;
    }

    fd = in->block->body_fd;
    offset = in->offset;

    Py_BEGIN_ALLOW_THREADS

    do {
        got = pread(fd, p, (n > left) ? (size_t) left : n, (off_t) offset);
        err = errno;
    } while (got == -1 && err == EINTR);

    Py_END_ALLOW_THREADS

    if (in->block == NULL) {

        /* a thread of the application has read on while the request ended */

        PyErr_SetString(PyExc_RuntimeError,
                        "the request has ended while wsgi.input was read");
        return -1;
    }

    if (got <= 0) {
        errno = got ? err : EIO;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }

    in->offset += (uint64_t) got;

    return got;
}


/* A new window: 1, 0 at the end of the body, -1 on an error. */

static int
wsgi_input_fill(wsgi_input_t *in)
{
    Py_ssize_t  n;

    if (in->block->body_len == in->offset) {
        return 0;
    }

    if (in->buffer == NULL) {
        in->buffer = PyMem_Malloc(WSGI_INPUT_WINDOW);

        if (in->buffer == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }

    n = wsgi_input_pread(in, in->buffer, WSGI_INPUT_WINDOW);

    if (n <= 0) {
        return (int) n;
    }

    in->pos = in->buffer;
    in->end = in->buffer + n;

    return 1;
}


/* A line with its newline, at most "size" bytes of it; b"" at the end. */

static PyObject *
wsgi_input_line(wsgi_input_t *in, Py_ssize_t size)
{
    int             rc;
    Py_ssize_t      n;
    PyObject       *line, *part;
    const uint8_t  *newline;

    line = PyBytes_FromStringAndSize(NULL, 0);

    while (line && size != 0) {

        if (in->pos == in->end) {
            rc = wsgi_input_fill(in);

            if (rc == -1) {
                Py_CLEAR(line);
            }

            if (rc != 1) {
                break;
            }
        }

        n = in->end - in->pos;

        if (size != -1 && n > size) {
            n = size;
        }

        newline = memchr(in->pos, '\n', (size_t) n);

        if (newline) {
            n = newline + 1 - in->pos;
        }

        part = PyBytes_FromStringAndSize((const char *) in->pos, n);
        in->pos += n;
        size -= (size == -1) ? 0 : n;

        PyBytes_ConcatAndDel(&line, part);

        if (newline) {
            break;
        }
    }

    return line;
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

    return PyBool_FromLong(((wsgi_input_t *) self)->block == NULL);
}


#define WSGI_FASTCALL(f)  ((PyCFunction) (void (*)(void)) (f))

static PyMethodDef  wsgi_input_methods[] = {
    { "read", WSGI_FASTCALL(wsgi_input_read), METH_FASTCALL,
      "read(size=-1) -> bytes" },
    { "read1", WSGI_FASTCALL(wsgi_input_read), METH_FASTCALL,
      "read1(size=-1) -> bytes" },
    { "readline", WSGI_FASTCALL(wsgi_input_readline), METH_FASTCALL,
      "readline(size=-1) -> bytes" },
    { "readlines", WSGI_FASTCALL(wsgi_input_readlines), METH_FASTCALL,
      "readlines(hint=-1) -> list of bytes" },
    { "readinto", wsgi_input_readinto, METH_O,
      "readinto(buffer) -> number of bytes" },
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
