/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: wsgi.input, over a body in memory, in a file, and one that comes from
 * the client in pieces, with a length or without, against io.BytesIO.
 *
 * Input: KIND TIMES (CALL SIZE)... ff BODY.  The body is repeated, to be larger
 * than the windows.
 */

#include "fuzz_python.h"        /* first: it defines _GNU_SOURCE */

#include <sys/mman.h>
#include <unistd.h>


#define FUZZ_CALLS  64


static PyObject       *fuzz_bytes_io;
static const uint8_t  *fuzz_body;
static size_t          fuzz_left;       /* that the client has not sent */
static uint8_t         fuzz_pace;


static int64_t fuzz_host_read(nwsgi_job_t *job, void *buf, uint64_t len);


const char *const  fuzz_words[] = {
    "\n", "\r\n", "\n\n", "\x01\x03", "\x02\x03", "\x03\x10", "\xff", NULL
};


void
fuzz_init(void)
{
    PyObject  *io;

    fuzz_python();
    fuzz_host.read = fuzz_host_read;

    io = PyImport_ImportModule("io");
    fuzz_bytes_io = io ? PyObject_GetAttrString(io, "BytesIO") : NULL;

    if (fuzz_bytes_io == NULL) {
        fuzz_raised("io");
    }
}


/* A client that sends as little as one byte at a time. */

static int64_t
fuzz_host_read(nwsgi_job_t *job, void *buf, uint64_t len)
{
    size_t  n;

    (void) job;

    n = 1 + (size_t) fuzz_pace * fuzz_pace;
    n = (n < len) ? n : (size_t) len;
    n = (n < fuzz_left) ? n : fuzz_left;

    memcpy(buf, fuzz_body, n);
    fuzz_body += n;
    fuzz_left -= n;

    return (int64_t) n;
}


static nwsgi_block_t *
fuzz_make(uint8_t kind, const uint8_t *body, size_t len)
{
    nwsgi_block_t  *block;

    fuzz_body = body;
    fuzz_left = len;
    fuzz_pace = kind >> 2;

    block = fuzz_block(0, (kind & 3) == 0 ? len : 0);
    block->body_len = len;

    switch (kind & 3) {

    case 0:
        block->flags = len ? NWSGI_BLOCK_BODY_MEMORY : 0;
        block->body.off = offsetof(nwsgi_block_t, vars);
        block->body.len = (uint32_t) len;
        memcpy((uint8_t *) block + block->body.off, body, len);
        break;

    case 1:
        block->flags = NWSGI_BLOCK_BODY_FILE;
        block->body_fd = memfd_create("body", MFD_CLOEXEC);
        if (write(block->body_fd, body, len) != (ssize_t) len) {
            fuzz_fail("memfd_create() or write() failed");
        }
        break;

    case 2:
        block->body_len = NWSGI_UNKNOWN;
        /* fall through */

    default:
        block->flags = NWSGI_BLOCK_BODY_STREAM;
    }

    return block;
}


static PyObject *
fuzz_call(PyObject *stream, unsigned int call, Py_ssize_t size)
{
    PyObject           *result;
    static const char  *names[] = { "read", "readline", "readlines", "read1" };

    if (call < 4) {
        return (size == -2) ? PyObject_CallMethod(stream, names[call], NULL)
                            : PyObject_CallMethod(stream, names[call], "n",
                                                  size);
    }

    if (call < 6) {
        result = PyIter_Next(stream);
        return (result || PyErr_Occurred()) ? result : Py_NewRef(Py_None);
    }

    result = PyByteArray_FromStringAndSize(NULL, (size < 0) ? 5 : size);
    if (result == NULL) {
        fuzz_raised("bytearray");
    }

    memset(PyByteArray_AS_STRING(result), 0,
           (size_t) PyByteArray_GET_SIZE(result));

    stream = PyObject_CallMethod(stream, "readinto", "O", result);
    if (stream == NULL) {
        Py_DECREF(result);
        return NULL;
    }

    return Py_BuildValue("(NN)", stream, result);
}


/* read1() may return less than there is: the oracle reads as much. */

static PyObject *
fuzz_expect(PyObject *io, unsigned int call, Py_ssize_t size, PyObject *got)
{
    Py_ssize_t  n;

    if (call != 3) {
        return fuzz_call(io, call, size);
    }

    n = PyBytes_GET_SIZE(got);

    if (n == 0 && size != 0) {
        return fuzz_call(io, 0, 1);            /* the end, so nothing */
    }

    if (size >= 0 && n > size) {
        fuzz_fail("read1(%zd) returned %zd bytes", size, n);
    }

    return fuzz_call(io, 0, n);
}


/* A size that is none (-2), all (-1), small, or larger than a window. */

static Py_ssize_t
fuzz_size(uint8_t byte)
{
    if (byte < 3) {
        return (Py_ssize_t) byte - 2;
    }

    return (byte < 200) ? byte - 3 : (Py_ssize_t) (byte - 199) * 1021;
}


static void
fuzz_steps(fuzz_cursor_t *c, PyObject *io)
{
    PyObject      *stream, *got, *want;
    Py_ssize_t     size;
    unsigned int   i, call;

    stream = (PyObject *) fuzz_thread.input;

    for (i = 0; i < FUZZ_CALLS; i++) {

        /* at last, what is left; then, that nothing is */

        if (c->pos < c->end && i < FUZZ_CALLS - 2) {
            call = fuzz_byte(c) & 7;
            size = fuzz_size(fuzz_byte(c));

        } else {
            i = (i < FUZZ_CALLS - 2) ? FUZZ_CALLS - 2 : i;
            call = (i == FUZZ_CALLS - 1) ? 1 : 0;
            size = -2;
        }

        got = fuzz_call(stream, call, size);
        if (got == NULL) {
            fuzz_raised("wsgi.input");
        }

        want = fuzz_expect(io, call, size, got);
        if (want == NULL) {
            fuzz_raised("io.BytesIO");
        }

        if (PyObject_RichCompareBool(got, want, Py_EQ) != 1) {
            PyObject_Print(got, stderr, 0);
            (void) fputs(" instead of ", stderr);
            PyObject_Print(want, stderr, 0);
            fuzz_fail(", call %u, size %zd", call, size);
        }

        Py_DECREF(got);
        Py_DECREF(want);
    }
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    size_t          n, times, i;
    uint8_t         kind, *body;
    PyObject       *io;
    fuzz_cursor_t   c, calls;
    const uint8_t  *text;
    nwsgi_block_t  *block;

    c = (fuzz_cursor_t) { p, p + len };
    kind = fuzz_byte(&c);
    times = 1 + fuzz_byte(&c) % 64;

    calls.end = c.pos + fuzz_piece(&c, 0xff, &calls.pos);
    text = c.pos;
    n = (size_t) (c.end - c.pos);

    body = malloc(n * times + 1);
    if (body == NULL) {
        fuzz_fail("no memory");
    }

    for (i = 0; i < times; i++) {
        memcpy(body + i * n, text, n);
    }

    io = PyObject_CallFunction(fuzz_bytes_io, "y#", body,
                               (Py_ssize_t) (n * times));
    if (io == NULL) {
        fuzz_raised("io.BytesIO()");
    }

    block = fuzz_make(kind, body, n * times);
    fuzz_bind(block);
    fuzz_steps(&calls, io);

    wsgi_input_cut(&fuzz_thread);
    Py_DECREF(io);

    if (block->body_fd != -1) {
        (void) close(block->body_fd);
    }

    free(block);
    free(body);
}
