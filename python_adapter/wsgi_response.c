/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The response, between what the application yields and what the host sends.
 *
 * The head waits for the first chunk that is not empty (PEP 3333, "The
 * start_response() Callable").  Each chunk is in the host's hands, and on its
 * way by another thread, before the next one is asked for ("Buffering and
 * Streaming").  Not a byte more than Content-Length leaves this file.
 */

#include "wsgi_python.h"


/* Copying is cheaper than a second hand-over up to about this size. */
#define WSGI_COPY_MAX  65536


static int wsgi_response_no_body(const wsgi_request_t *request);
static int wsgi_response_send(wsgi_request_t *request, nwsgi_message_t *msg);
static int wsgi_response_head(wsgi_request_t *request, nwsgi_message_t *msg);
static int wsgi_response_user(wsgi_request_t *request, nwsgi_message_t *msg);
static void wsgi_response_excess(wsgi_request_t *request);


int
wsgi_response_chunk(wsgi_request_t *request, PyObject *chunk)
{
    Py_ssize_t       n;
    nwsgi_message_t  msg;

    if (!PyBytes_Check(chunk)) {
        PyErr_Format(PyExc_TypeError,
                     "the application must yield bytes, not %.100s",
                     Py_TYPE(chunk)->tp_name);
        return -1;
    }

    n = PyBytes_GET_SIZE(chunk);

    if (n == 0) {
        return 0;
    }

    if (request->state == WSGI_NOT_STARTED) {
        PyErr_SetString(PyExc_RuntimeError,
                        "start_response() was not called before the first "
                        "chunk of the body");
        return -1;
    }

    if (wsgi_response_over(request)) {
        wsgi_response_excess(request);
        return 0;
    }

    memset(&msg, 0, sizeof(nwsgi_message_t));

    if (request->state == WSGI_STARTED
        && wsgi_response_head(request, &msg) != 0)
    {
        return -1;
    }

    if (wsgi_response_no_body(request)) {
        msg.flags |= NWSGI_SEND_LAST;
        return wsgi_response_send(request, &msg);
    }

    msg.body = PyBytes_AS_STRING(chunk);
    msg.body_len = (uint64_t) n;

    if (request->left >= 0) {

        if ((int64_t) n > request->left) {
            msg.body_len = (uint64_t) request->left;
        }

        request->left -= (int64_t) msg.body_len;

        if (request->left == 0) {
            msg.flags |= NWSGI_SEND_LAST;
        }

        if ((int64_t) n > (int64_t) msg.body_len) {
            wsgi_response_excess(request);
        }
    }

    if (n > WSGI_COPY_MAX) {
        msg.owner = wsgi_owner_new(chunk, 0);
    }

    return wsgi_response_send(request, &msg);
}


int
wsgi_response_file(wsgi_request_t *request, PyObject *result)
{
    int              rc;
    int64_t          len;
    nwsgi_message_t  msg;

    memset(&msg, 0, sizeof(nwsgi_message_t));

    /* HEAD is answered as GET, and the host leaves the body out */

    if (!PyObject_TypeCheck(result, wsgi.file_wrapper_type)
        || request->state != WSGI_STARTED
        || request->head->code == 204
        || request->head->code == 304)
    {
        return 0;
    }

    rc = wsgi_file_range(result, &msg.fd, &msg.offset, &len);
    if (rc != 1) {
        return rc;
    }

    wsgi_response_length(request, len);

    /* fewer bytes than the file has are honoured, more cannot be */

    if (request->head->content_length > len || len == 0) {
        return 0;
    }

    if (wsgi_response_head(request, &msg) != 0) {
        return -1;
    }

    msg.flags |= NWSGI_SEND_FILE|NWSGI_SEND_LAST;
    msg.body_len = (uint64_t) request->left;
    msg.owner = wsgi_owner_new(result, 1);

    if (msg.owner == 0) {
        PyErr_NoMemory();
        return -1;
    }

    request->handed = 1;

    return (wsgi_response_send(request, &msg) == 0) ? 1 : -1;
}


void
wsgi_response_length(wsgi_request_t *request, int64_t n)
{
    if (request->state == WSGI_STARTED && request->head->content_length == -1) {
        request->head->content_length = n;
    }
}


int
wsgi_response_end(wsgi_request_t *request)
{
    nwsgi_message_t  msg;

    memset(&msg, 0, sizeof(nwsgi_message_t));

    switch (request->state) {

    case WSGI_NOT_STARTED:
        PyErr_SetString(PyExc_RuntimeError,
                        "the application did not call start_response()");
        return -1;

    case WSGI_STARTED:

        /* an empty body; where there is none, it says nothing of its length */

        if (!wsgi_response_no_body(request)) {
            wsgi_response_length(request, 0);
        }

        if (wsgi_response_head(request, &msg) != 0) {
            return -1;
        }

        break;

    case WSGI_SENT:
        break;

    case WSGI_COMPLETE:
        return 0;
    }

    if (request->left > 0 && !wsgi_response_no_body(request)) {
        PyErr_Format(PyExc_RuntimeError,
                     "the body is %lld bytes shorter than its Content-Length",
                     (long long) request->left);

        /* a head that was never sent gives way to a 500 */
        return -1;
    }

    msg.flags |= NWSGI_SEND_LAST;

    return wsgi_response_send(request, &msg);
}


int
wsgi_response_over(const wsgi_request_t *request)
{
    return request->gone || request->state == WSGI_COMPLETE || wsgi_forked;
}


/* RFC 9110, sections 9.3.2, 15.3.5, 15.3.6 and 15.4.5 */

static int
wsgi_response_no_body(const wsgi_request_t *request)
{
    return (request->block->flags & NWSGI_BLOCK_HEAD)
           || request->head->code == 204
           || request->head->code == 304;
}


static int
wsgi_response_send(wsgi_request_t *request, nwsgi_message_t *msg)
{
    int32_t         rc;
    PyThreadState  *tstate;

    msg->size = sizeof(nwsgi_message_t);

    rc = wsgi_host->send(request->job, msg);

    /* what the client has got must not wait for the end of this response */

    wsgi_owner_drop(0);

    if (msg->flags & NWSGI_SEND_HEAD) {
        request->state = WSGI_SENT;
    }

    if (msg->flags & NWSGI_SEND_LAST) {
        request->state = WSGI_COMPLETE;
        return 0;
    }

    if (rc == NWSGI_AGAIN) {
        tstate = PyEval_SaveThread();
        rc = wsgi_host->wait(request->job);
        PyEval_RestoreThread(tstate);
    }

    request->gone = (rc != NWSGI_OK);

    return 0;
}


static int
wsgi_response_head(wsgi_request_t *request, nwsgi_message_t *msg)
{
    wsgi_head_t  *head;

    head = request->head;

    request->left = head->content_length;

    msg->flags |= NWSGI_SEND_HEAD;
    msg->status = head->code;
    msg->fields = head->fields;
    msg->nfields = head->nfields;
    msg->reason = (const char *) PyUnicode_1BYTE_DATA(head->refs[0])
                  + head->reason.off;
    msg->reason_len = head->reason.len;
    msg->content_length = (head->code == 204) ? -1 : head->content_length;

    if (request->environ && head->code < 300) {
        return wsgi_response_user(request, msg);
    }

    return 0;
}


/*
 * What an application of wsgi_access has made of REMOTE_USER; borrowed.  A name
 * that cannot be had, or not be passed on, is an error: nobody is let in under
 * another one, or under none.
 */

static int
wsgi_response_user(wsgi_request_t *request, nwsgi_message_t *msg)
{
    PyObject  *user;

    static const char  name[] = "REMOTE_USER";

    user = PyDict_GetItemWithError(request->environ, wsgi.remote_user);

    if (user == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }

    if (wsgi_head_text(user, name, &msg->user, &msg->user_len) != 0) {
        return -1;
    }

    return wsgi_validate_value((const uint8_t *) name, sizeof(name) - 1,
                               (const uint8_t *) msg->user, msg->user_len);
}


/* Said once: the rest is not even looked at. */

static void
wsgi_response_excess(wsgi_request_t *request)
{
    static const char  text[] = "the application yields more than its "
                                "Content-Length, the rest is dropped";

    if (!request->gone && !wsgi_response_no_body(request)
        && request->left != -1)
    {
        wsgi_host->log(request->job, NWSGI_LOG_ERR, text, sizeof(text) - 1);
        request->left = -1;
    }
}
