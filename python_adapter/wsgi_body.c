/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The request body as wsgi.input reads it: a window on the block's own memory
 * when nginx held the body there, or on a buffer that is filled, without the
 * GIL, from nginx's temp file or, when nginx does not wait for the body, from
 * the client.
 */

#include <errno.h>
#include <unistd.h>

#include "wsgi_python.h"


#define WSGI_BODY_WINDOW  16384


static PyObject *wsgi_body_rest(wsgi_body_t *body);
static int wsgi_body_fill(wsgi_body_t *body);
static Py_ssize_t wsgi_body_more(wsgi_body_t *body, uint8_t *p, size_t n);
static int64_t wsgi_body_source(const nwsgi_block_t *block, nwsgi_job_t *job,
    uint64_t offset, uint8_t *p, size_t n);
static int64_t wsgi_body_pread(int fd, uint64_t offset, uint8_t *p, size_t n);


void
wsgi_body_open(wsgi_body_t *body, wsgi_request_t *request)
{
    const nwsgi_block_t  *block;

    block = request->block;

    body->request = request;
    body->pos = NULL;
    body->end = NULL;
    body->offset = 0;

    if (block->flags & NWSGI_BLOCK_BODY_MEMORY) {
        body->pos = nwsgi_data(block, block->body);
        body->end = body->pos + block->body.len;
        body->offset = block->body.len;
    }
}


void
wsgi_body_free(wsgi_body_t *body)
{
    PyMem_Free(body->buffer);
    body->buffer = NULL;
}


PyObject *
wsgi_body_read(wsgi_body_t *body, Py_ssize_t size)
{
    uint64_t     left;
    PyObject    *data;
    Py_ssize_t   n;

    if (body->request->block->body_len == NWSGI_UNKNOWN) {

        if (size == -1) {
            return wsgi_body_rest(body);
        }

    } else {
        left = (uint64_t) (body->end - body->pos)
               + body->request->block->body_len - body->offset;

        if (size == -1 || (uint64_t) size > left) {
            size = (Py_ssize_t) left;
        }
    }

    data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL) {
        return NULL;
    }

    n = wsgi_body_readinto(body, (uint8_t *) PyBytes_AS_STRING(data), size);

    if (n == -1) {
        Py_DECREF(data);
        return NULL;
    }

    if (n < size) {
        (void) _PyBytes_Resize(&data, n);
    }

    return data;
}


/* All of a body whose length is not known. */

static PyObject *
wsgi_body_rest(wsgi_body_t *body)
{
    PyObject    *data;
    Py_ssize_t   n, size, have;

    have = 0;
    size = WSGI_BODY_WINDOW;
    data = PyBytes_FromStringAndSize(NULL, size);

    while (data) {
        n = wsgi_body_readinto(body,
                               (uint8_t *) PyBytes_AS_STRING(data) + have,
                               size - have);

        if (n == -1) {
            Py_CLEAR(data);
            break;
        }

        have += n;

        if (have < size) {
            (void) _PyBytes_Resize(&data, have);
            break;
        }

        size *= 2;
        (void) _PyBytes_Resize(&data, size);
    }

    return data;
}


PyObject *
wsgi_body_read1(wsgi_body_t *body, Py_ssize_t size)
{
    Py_ssize_t  n;

    if (body->pos == body->end && wsgi_body_fill(body) == -1) {
        return NULL;
    }

    n = body->end - body->pos;

    if (size != -1 && n > size) {
        n = size;
    }

    body->pos += n;

    return PyBytes_FromStringAndSize((const char *) body->pos - n, n);
}


Py_ssize_t
wsgi_body_readinto(wsgi_body_t *body, uint8_t *p, Py_ssize_t n)
{
    Py_ssize_t  have, got;

    have = body->end - body->pos;

    if (have > n) {
        have = n;
    }

    if (have) {
        memcpy(p, body->pos, (size_t) have);
        body->pos += have;
    }

    /* the rest goes straight to its place */

    while (have < n) {
        got = wsgi_body_more(body, p + have, (size_t) (n - have));

        if (got <= 0) {
            return (got == 0) ? have : -1;
        }

        have += got;
    }

    return have;
}


PyObject *
wsgi_body_line(wsgi_body_t *body, Py_ssize_t size)
{
    int             rc;
    Py_ssize_t      n;
    PyObject       *line, *part;
    const uint8_t  *newline;

    newline = NULL;
    line = PyBytes_FromStringAndSize(NULL, 0);

    while (line && size != 0 && newline == NULL) {

        if (body->pos == body->end) {
            rc = wsgi_body_fill(body);

            if (rc == -1) {
                Py_CLEAR(line);
            }

            if (rc != 1) {
                break;
            }
        }

        n = body->end - body->pos;

        if (size != -1 && n > size) {
            n = size;
        }

        newline = memchr(body->pos, '\n', (size_t) n);

        if (newline) {
            n = newline + 1 - body->pos;
        }

        part = PyBytes_FromStringAndSize((const char *) body->pos, n);
        body->pos += n;
        size -= (size == -1) ? 0 : n;

        PyBytes_ConcatAndDel(&line, part);
    }

    return line;
}


/* A new window: 1, 0 at the end of the body, -1 on an error. */

static int
wsgi_body_fill(wsgi_body_t *body)
{
    Py_ssize_t  n;

    if (body->buffer == NULL) {
        body->buffer = PyMem_Malloc(WSGI_BODY_WINDOW);

        if (body->buffer == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }

    n = wsgi_body_more(body, body->buffer, WSGI_BODY_WINDOW);

    if (n <= 0) {
        return (int) n;
    }

    body->pos = body->buffer;
    body->end = body->buffer + n;

    return 1;
}


/* The next bytes behind the window; 0 at the end, -1 on an error. */

static Py_ssize_t
wsgi_body_more(wsgi_body_t *body, uint8_t *p, size_t n)
{
    int64_t               got;
    uint64_t              left;
    nwsgi_job_t          *job;
    PyThreadState        *tstate;
    const nwsgi_block_t  *block;

    block = body->request->block;
    job = body->request->job;
    left = block->body_len - body->offset;

    if (left == 0) {
        return 0;
    }

    if (wsgi_thread_request() != body->request) {

        /* the request could end while another thread waits here */

        PyErr_SetString(PyExc_RuntimeError,
                        "wsgi.input is read by a thread that does not run "
                        "its request");
        return -1;
    }

    if (n > left) {
        n = (size_t) left;
    }

    tstate = PyEval_SaveThread();
    got = wsgi_body_source(block, job, body->offset, p, n);
    PyEval_RestoreThread(tstate);

    if (got >= 0) {
        body->offset += (uint64_t) got;
        return (Py_ssize_t) got;
    }

    if (got == NWSGI_GONE) {
        PyErr_SetString(wsgi.client_disconnected,
                        "the client has gone before its request body was "
                        "complete");

    } else {
        PyErr_SetString(PyExc_OSError, "the request body cannot be read");
    }

    return -1;
}


/* No GIL: > 0, 0 at the end of a stream, or NWSGI_*. */

static int64_t
wsgi_body_source(const nwsgi_block_t *block, nwsgi_job_t *job, uint64_t offset,
    uint8_t *p, size_t n)
{
    if (block->flags & NWSGI_BLOCK_BODY_FILE) {
        return wsgi_body_pread(block->body_fd, offset, p, n);
    }

    return wsgi_host->read(job, p, n);
}


static int64_t
wsgi_body_pread(int fd, uint64_t offset, uint8_t *p, size_t n)
{
    ssize_t  got;

    do {
        got = pread(fd, p, n, (off_t) offset);
    } while (got == -1 && errno == EINTR);

    /* nginx has written all of it: an end of file is an error, too */

    return (got > 0) ? got : NWSGI_ERROR;
}
