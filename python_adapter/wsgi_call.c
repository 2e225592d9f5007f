/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of PEP 3333: one request, from the call of the application
 * to close().
 *
 * A response that fails before its head was sent is the host's to answer (500,
 * so that error_page works); one that fails later is cut.  close() is called
 * whatever happens.
 */

#include "wsgi_python.h"


/* Chunks between two looks at what others want. */
#define WSGI_CALL_BREATH  64


static int wsgi_call_run(wsgi_request_t *request);
static PyObject *wsgi_call_application(wsgi_request_t *request);
static PyObject *wsgi_call_load(wsgi_request_t *request);
static int wsgi_call_body(wsgi_request_t *request, PyObject *result);
static int wsgi_call_items(wsgi_request_t *request, PyObject *result);
static int wsgi_call_iterate(wsgi_request_t *request, PyObject *result);
static int wsgi_call_chunk(wsgi_request_t *request, PyObject *chunk);
static void wsgi_call_closes(wsgi_request_t *request);
static void wsgi_call_finish(wsgi_request_t *request, int32_t result);
static int wsgi_call_expected(wsgi_request_t *request, PyObject *exception);
static void wsgi_call_log(wsgi_request_t *request, PyObject *text);


void
wsgi_call(wsgi_thread_t *self, nwsgi_job_t *job)
{
    int32_t         rc;
    wsgi_request_t  request;

    if (wsgi_host->begin(job) != NWSGI_OK) {
        wsgi_host->end(job, NWSGI_OK);
        return;
    }

    memset(&request, 0, sizeof(wsgi_request_t));

    request.job = job;
    request.block = job->block;
    request.thread = self;
    request.head = &self->head;
    request.left = -1;

    self->request = &request;
    wsgi_thread_runs(self, request.block);

    rc = wsgi_call_run(&request);

    wsgi_call_finish(&request, (rc == 0) ? NWSGI_OK : NWSGI_ERROR);
}


static int
wsgi_call_run(wsgi_request_t *request)
{
    int        rc, closed;
    PyObject  *result;

    result = wsgi_call_application(request);

    if (wsgi_forked) {
        wsgi_fork_end();
    }

    if (result == NULL) {
        return -1;
    }

    rc = wsgi_call_body(request, result);

    if (wsgi_forked) {
        wsgi_fork_end();
    }

    wsgi_call_closes(request);

    if (rc != 0) {
        wsgi_call_failed(request, "iteration");
    }

    closed = request->handed ? 0 : wsgi_call_close(result);

    if (wsgi_forked) {
        wsgi_fork_end();
    }

    if (closed != 0) {
        wsgi_call_failed(request, "close");
    }

    Py_DECREF(result);

    return rc;
}


/* The iterable, a new reference, or NULL: the failure has been logged. */

static PyObject *
wsgi_call_application(wsgi_request_t *request)
{
    PyObject       *app, *environ, *result, *args[3];
    wsgi_thread_t  *self;

    app = wsgi_call_load(request);
    if (app == NULL) {
        wsgi_call_failed(request, "import");
        return NULL;
    }

    self = request->thread;
    result = NULL;
    environ = NULL;

    if (wsgi_link_bind(self, request) == 0
        && wsgi_input_bind(self, request) == 0)
    {
        environ = wsgi_environ_new(request);
    }

    if (environ) {

        /* before the call, in which write() may send the head */

        if (request->block->flags & NWSGI_BLOCK_ACCESS) {
            Py_INCREF(environ);
            request->environ = environ;
        }

        args[0] = NULL;
        args[1] = environ;
        args[2] = (PyObject *) self->links[WSGI_START_RESPONSE];

        result = PyObject_Vectorcall(app, args + 1,
                                     2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);

        Py_DECREF(environ);
    }

    if (result == NULL && !wsgi_forked) {
        wsgi_call_failed(request, "call");
    }

    return result;
}


/*
 * A borrowed reference: an application that was loaded stays.  The exception
 * that an import has put off is raised when it has ended well, for all others.
 */

static PyObject *
wsgi_call_load(wsgi_request_t *request)
{
    uint32_t   index, postponed;
    PyObject  *app;

    index = request->block->app;

    if (wsgi.apps[index]) {
        return wsgi.apps[index];
    }

    app = PyObject_CallMethod(wsgi.boot, "load", "I", index);

    postponed = wsgi_thread_imported(request->thread);

    if (app == NULL) {
        return NULL;
    }

    /* another thread may have come first while this one waited: same object */

    Py_XSETREF(wsgi.apps[index], app);

    if (postponed) {
        PyErr_SetNone(wsgi_thread_exception(postponed));
        return NULL;
    }

    return app;
}


static int
wsgi_call_body(wsgi_request_t *request, PyObject *result)
{
    int  rc;

    if (result == Py_None) {
        PyErr_SetString(PyExc_TypeError,
                        "the application returned None, not an iterable of "
                        "bytes");
        return -1;
    }

    if (PyBytes_Check(result) || PyUnicode_Check(result)) {
        PyErr_Format(PyExc_TypeError,
                     "the application returned %.100s, not an iterable of "
                     "bytes (return a list with one item)",
                     Py_TYPE(result)->tp_name);
        return -1;
    }

    if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
        rc = wsgi_call_items(request, result);

    } else {
        rc = wsgi_response_file(request, result);

        if (rc == 0) {
            rc = wsgi_call_iterate(request, result);
        }
    }

    if (rc == -1) {
        return -1;
    }

    return wsgi_response_over(request) ? 0 : wsgi_response_end(request);
}


/* A list or a tuple: its size is known before the first item is sent. */

static int
wsgi_call_items(wsgi_request_t *request, PyObject *result)
{
    int         rc;
    PyObject   *item;
    Py_ssize_t  i, n, total;

    n = PySequence_Fast_GET_SIZE(result);
    total = 0;

    for (i = 0; i < n; i++) {
        item = PySequence_Fast_GET_ITEM(result, i);

        if (!PyBytes_Check(item)) {
            PyErr_Format(PyExc_TypeError,
                         "item %zd of the response is %.100s, not bytes", i,
                         Py_TYPE(item)->tp_name);
            return -1;
        }

        total += PyBytes_GET_SIZE(item);
    }

    if (total) {
        wsgi_response_length(request, total);
    }

    /* the GIL is given up while a client is waited for: the list may change */

    for (i = 0; i < PySequence_Fast_GET_SIZE(result); i++) {

        item = Py_NewRef(PySequence_Fast_GET_ITEM(result, i));
        rc = wsgi_call_chunk(request, item);
        Py_DECREF(item);

        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}


static int
wsgi_call_iterate(wsgi_request_t *request, PyObject *result)
{
    int         rc;
    PyObject   *iterator, *chunk;
    Py_ssize_t  len;

    iterator = PyObject_GetIter(result);
    if (iterator == NULL) {
        return -1;
    }

    len = PyObject_Size(result);
    PyErr_Clear();

    rc = 0;

    while (rc == 0 && !wsgi_response_over(request)) {

        chunk = PyIter_Next(iterator);

        if (chunk == NULL) {
            rc = PyErr_Occurred() ? -1 : 0;
            break;
        }

        if (len == 1 && PyBytes_Check(chunk)) {
            wsgi_response_length(request, PyBytes_GET_SIZE(chunk));
        }

        rc = wsgi_call_chunk(request, chunk);
        Py_DECREF(chunk);
    }

    wsgi_call_closes(request);
    Py_DECREF(iterator);

    return rc;
}


/*
 * An iterator made in C, as itertools.repeat(b""), never comes to where Python
 * hands over the GIL and raises what wsgi_thread_interrupt() has set; the call
 * of a Python function does.  Nor do empty chunks tell that nobody waits.
 */

static int
wsgi_call_chunk(wsgi_request_t *request, PyObject *chunk)
{
    PyObject  *rv;

    if (++request->chunks % WSGI_CALL_BREATH == 0) {

        rv = PyObject_CallMethod(wsgi.boot, "breathe", NULL);
        if (rv == NULL) {
            return -1;
        }

        Py_DECREF(rv);

        if (wsgi_host->gone(request->job)) {
            request->gone = 1;
        }
    }

    return wsgi_response_chunk(request, chunk);
}


/*
 * From here on the application cleans up, and is not kept from it because its
 * client has gone or its time is over: an exception that waits for this
 * thread's next instruction would end close() at its first.
 */

static void
wsgi_call_closes(wsgi_request_t *request)
{
    wsgi_thread_t  *self;

    self = request->thread;

    if (request->closing == 0) {
        request->closing = wsgi_thread_now();
    }

    if (self->interrupted) {
        self->interrupted = 0;
        (void) PyThreadState_SetAsyncExc(self->ident, NULL);
    }
}


int
wsgi_call_close(PyObject *result)
{
    PyObject  *close, *rv;

    if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
        return 0;
    }

    close = PyObject_GetAttrString(result, "close");

    if (close == NULL) {

        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }

        PyErr_Clear();
        return 0;
    }

    rv = PyObject_CallNoArgs(close);

    Py_DECREF(close);
    Py_XDECREF(rv);

    return (rv == NULL) ? -1 : 0;
}


/*
 * The end of a request.  An exception that wsgi_thread_interrupt() raised and
 * that has not come through yet must not hit the next one.
 */

static void
wsgi_call_finish(wsgi_request_t *request, int32_t result)
{
    wsgi_thread_t  *self;

    self = request->thread;

    wsgi_errors_flush();

    wsgi_link_cut(self);
    wsgi_input_cut(self);
    wsgi_head_clear(request->head);
    Py_CLEAR(request->environ);

    if (wsgi_forked) {

        /* what was dropped last, the iterable or a header, has run code, too */

        wsgi_fork_end();
    }

    wsgi_thread_runs(self, NULL);
    self->request = NULL;

    if (self->interrupted) {
        self->interrupted = 0;
        (void) PyThreadState_SetAsyncExc(self->ident, NULL);
    }

    wsgi_host->end(request->job, result);
}


/* The exception is what became of a client that has gone, or of a timeout. */

static int
wsgi_call_expected(wsgi_request_t *request, PyObject *exception)
{
    if (!request->gone && !wsgi_host->gone(request->job)) {
        return 0;
    }

    return PyErr_GivenExceptionMatches(exception, wsgi.client_disconnected)
           || PyErr_GivenExceptionMatches(exception, wsgi.request_cancelled)
           || PyErr_GivenExceptionMatches(exception, wsgi.request_timeout);
}


void
wsgi_call_failed(wsgi_request_t *request, const char *phase)
{
    PyObject  *exception, *text;

    exception = PyErr_GetRaisedException();

    if (request && wsgi_call_expected(request, exception)) {

        /* the host has said so in its own words */

        Py_DECREF(exception);
        return;
    }

    text = PyObject_CallMethod(wsgi.boot, "failure", "isO",
                               request ? (int) request->block->app : -1,
                               phase, exception);
    if (text == NULL) {
        PyErr_Clear();
        text = PyObject_Repr(exception);
    }

    wsgi_call_log(request, text);

    Py_XDECREF(text);
    Py_DECREF(exception);
    PyErr_Clear();
}


static void
wsgi_call_log(wsgi_request_t *request, PyObject *text)
{
    PyObject  *bytes;

    static const char  lost[] = "the application failed, and so did the "
                                "description of it";

    bytes = text ? wsgi_errors_encode(text) : NULL;

    if (bytes) {
        wsgi_host->log(request ? request->job : NULL, NWSGI_LOG_ERR,
                       PyBytes_AS_STRING(bytes),
                       (size_t) PyBytes_GET_SIZE(bytes));
        Py_DECREF(bytes);

    } else {
        wsgi_host->log(request ? request->job : NULL, NWSGI_LOG_ERR,
                       lost, sizeof(lost) - 1);
    }
}
