/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread of a pool: attached to Python once, it runs jobs until it is told
 * to leave.  Its slot is what others may see of it.
 *
 * No signal is blocked here: a child that an application starts inherits the
 * mask, and could then not be terminated.  The kernel delivers nginx's signals
 * to the main thread, which blocks none of them.
 */

#include <time.h>

#include "wsgi_python.h"


/*
 * "serial", "since" and "app" are written by the slot's thread with the GIL
 * held.  "thread" is set and cleared under the lock.
 */

typedef struct {
    _Atomic uint64_t   serial;
    _Atomic uint64_t   since;
    _Atomic uint64_t   ident;
    _Atomic uint32_t   app;
    _Atomic uint32_t   pool;
    _Atomic int        leave;
    wsgi_thread_t     *thread;
} wsgi_slot_t;


/* for close(), before it is interrupted, too: msec, as pool.Grace */

#define WSGI_CLOSE_TIME  1000


static wsgi_slot_t        wsgi_slots[WSGI_MAX_SLOTS];
static pthread_mutex_t    wsgi_slots_lock = PTHREAD_MUTEX_INITIALIZER;

static __thread wsgi_thread_t  *wsgi_self;


static int wsgi_thread_attach(wsgi_thread_t *self, const char *name);
static void wsgi_thread_detach(wsgi_thread_t *self);
static void wsgi_thread_publish(wsgi_thread_t *self, uint32_t slot);
static void wsgi_thread_note_one(uint32_t slot, uint64_t serial,
    PyObject *frames);
static wsgi_thread_t *wsgi_thread_runner(uint32_t slot, uint64_t serial);
static int wsgi_thread_closes(wsgi_request_t *request, uint32_t reason);
static void wsgi_thread_log(wsgi_thread_t *thread, PyObject *text);


int
wsgi_thread_run(uint32_t slot, uint32_t pool, const char *name)
{
    nwsgi_job_t       *job;
    wsgi_thread_t      self;
    PyGILState_STATE   gil;

    memset(&self, 0, sizeof(wsgi_thread_t));

    self.pool = pool;

    gil = PyGILState_Ensure();

    if (wsgi_thread_attach(&self, name) != 0) {
        wsgi_call_failed(NULL, "thread start");
        PyGILState_Release(gil);
        return -1;
    }

    wsgi_thread_publish(&self, slot);

    for ( ;; ) {
        job = wsgi_queue_next(&self);

        if (job == NULL) {
            break;
        }

        wsgi_call(&self, job);
    }

    wsgi_thread_publish(NULL, slot);
    wsgi_thread_detach(&self);

    PyGILState_Release(gil);

    return 0;
}


static int
wsgi_thread_attach(wsgi_thread_t *self, const char *name)
{
    PyObject  *rv;

    self->ident = PyThread_get_thread_ident();
    pthread_cond_init(&self->wake, NULL);
    wsgi_self = self;

    rv = PyObject_CallMethod(wsgi.boot, "thread_started", "s", name);

    if (rv == NULL) {
        wsgi_self = NULL;
        pthread_cond_destroy(&self->wake);
        return -1;
    }

    Py_DECREF(rv);

    return 0;
}


static void
wsgi_thread_detach(wsgi_thread_t *self)
{
    wsgi_errors_flush();
    wsgi_link_free(self);
    Py_CLEAR(self->input);
    wsgi_head_free(&self->head);

    wsgi_self = NULL;
    pthread_cond_destroy(&self->wake);
}


static void
wsgi_thread_publish(wsgi_thread_t *self, uint32_t slot)
{
    wsgi_slot_t  *s;

    s = &wsgi_slots[slot];

    pthread_mutex_lock(&wsgi_slots_lock);

    if (self) {
        self->slot = slot;
        atomic_store(&s->pool, self->pool);
        atomic_store(&s->ident, self->ident);

    } else {
        atomic_store(&s->leave, 0);
    }

    s->thread = self;

    pthread_mutex_unlock(&wsgi_slots_lock);
}


void
wsgi_thread_leave(uint32_t slot)
{
    wsgi_slot_t  *s;

    s = &wsgi_slots[slot];

    pthread_mutex_lock(&wsgi_slots_lock);

    if (s->thread) {
        atomic_store(&s->leave, 1);
        wsgi_queue_wake(s->thread);
    }

    pthread_mutex_unlock(&wsgi_slots_lock);
}


int
wsgi_thread_leaving(const wsgi_thread_t *self)
{
    return atomic_load_explicit(&wsgi_slots[self->slot].leave,
                                memory_order_relaxed);
}


wsgi_request_t *
wsgi_thread_request(void)
{
    return wsgi_self ? wsgi_self->request : NULL;
}


void
wsgi_thread_imports(int importing)
{
    if (wsgi_self) {
        wsgi_self->importing = importing;
    }
}


uint32_t
wsgi_thread_imported(wsgi_thread_t *self)
{
    uint32_t  postponed;

    postponed = self->postponed;

    self->postponed = 0;
    self->importing = 0;        /* an exception may have come before Python's */

    return postponed;
}


PyObject *
wsgi_thread_exception(uint32_t reason)
{
    return reason == NWSGI_TIMEOUT ? wsgi.request_timeout
                                   : wsgi.request_cancelled;
}


void
wsgi_thread_runs(wsgi_thread_t *self, const nwsgi_block_t *block)
{
    wsgi_slot_t  *s;

    s = &wsgi_slots[self->slot];

    if (block == NULL) {
        atomic_store_explicit(&s->serial, 0, memory_order_relaxed);
        return;
    }

    atomic_store_explicit(&s->since, wsgi_thread_now(),
                          memory_order_relaxed);
    atomic_store_explicit(&s->app, block->app, memory_order_relaxed);
    atomic_store_explicit(&s->serial, block->serial, memory_order_release);
}


uint64_t
wsgi_thread_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


int
wsgi_thread_info(uint32_t slot, wsgi_thread_info_t *info)
{
    int           alive;
    wsgi_slot_t  *s;

    s = &wsgi_slots[slot];

    pthread_mutex_lock(&wsgi_slots_lock);
    alive = (s->thread != NULL);
    pthread_mutex_unlock(&wsgi_slots_lock);

    info->serial = atomic_load(&s->serial);
    info->since = atomic_load(&s->since);
    info->ident = atomic_load(&s->ident);
    info->pool = atomic_load(&s->pool);
    info->app = atomic_load(&s->app);

    return alive;
}


/*
 * Is it cleaning up, and to be left in peace?  Who has been given up has a
 * moment for that, and is judged afterwards as if it had been interrupted.
 */

static int
wsgi_thread_closes(wsgi_request_t *request, uint32_t reason)
{
    return request->closing
           && (reason == NWSGI_CANCEL
               || wsgi_thread_now() - request->closing < WSGI_CLOSE_TIME);
}


int
wsgi_thread_interrupt(uint32_t slot, uint64_t serial, uint32_t reason)
{
    int                found;
    PyObject          *text;
    wsgi_thread_t     *thread;
    PyGILState_STATE   gil;

    found = 0;
    text = NULL;

    gil = PyGILState_Ensure();

    thread = wsgi_thread_runner(slot, serial);

    if (thread && reason == NWSGI_TIMEOUT) {
        text = PyObject_CallMethod(wsgi.boot, "stack", "k", thread->ident);

        /* Python code has run, so the GIL may have been away: look again */

        thread = wsgi_thread_runner(slot, serial);
    }

    /* from here on the GIL stays here, and the thread cannot end its job */

    if (thread) {
        wsgi_thread_log(thread, text);
    }

    if (thread && wsgi_thread_closes(thread->request, reason)) {
        found = (reason == NWSGI_TIMEOUT);

    } else if (thread && thread->importing) {

        /* others wait for it, too, and it has a limit of its own */

        thread->postponed = reason;

    } else if (thread) {
        thread->interrupted = reason;
        found = PyThreadState_SetAsyncExc(thread->ident,
                                          wsgi_thread_exception(reason));
    }

    Py_XDECREF(text);
    PyErr_Clear();
    PyGILState_Release(gil);

    return found;
}


void
wsgi_thread_note(uint64_t age)
{
    uint32_t           i;
    uint64_t           now, since, serial;
    PyObject          *frames;
    PyGILState_STATE   gil;

    gil = PyGILState_Ensure();

    frames = PyObject_CallMethod(wsgi.boot, "current_frames", NULL);
    now = wsgi_thread_now();

    for (i = 0; i < WSGI_MAX_SLOTS && frames; i++) {
        serial = atomic_load(&wsgi_slots[i].serial);
        since = atomic_load(&wsgi_slots[i].since);

        /* Python code runs, so a job may have begun since "now" */

        if (serial && since <= now && now - since >= age) {
            wsgi_thread_note_one(i, serial, frames);
        }
    }

    Py_XDECREF(frames);
    PyErr_Clear();
    PyGILState_Release(gil);
}


static void
wsgi_thread_note_one(uint32_t slot, uint64_t serial, PyObject *frames)
{
    PyObject       *text, *bytes;
    wsgi_thread_t  *thread;

    thread = wsgi_thread_runner(slot, serial);
    if (thread == NULL) {
        return;
    }

    text = PyObject_CallMethod(wsgi.boot, "place", "Ok", frames,
                               thread->ident);
    if (text == NULL) {
        PyErr_Clear();
        return;
    }

    bytes = PyUnicode_Check(text) ? wsgi_errors_encode(text) : NULL;

    /* as in wsgi_thread_interrupt() */

    thread = wsgi_thread_runner(slot, serial);

    if (thread && bytes && wsgi_host->where) {
        wsgi_host->where(thread->ident, PyBytes_AS_STRING(bytes),
                         (size_t) PyBytes_GET_SIZE(bytes));
    }

    PyErr_Clear();
    Py_XDECREF(bytes);
    Py_DECREF(text);
}


/* The thread of a slot if it runs this job, or NULL. */

static wsgi_thread_t *
wsgi_thread_runner(uint32_t slot, uint64_t serial)
{
    wsgi_slot_t  *s;

    s = &wsgi_slots[slot];

    return (atomic_load(&s->serial) == serial) ? s->thread : NULL;
}


static void
wsgi_thread_log(wsgi_thread_t *thread, PyObject *text)
{
    PyObject  *bytes;

    if (text == NULL || !PyUnicode_Check(text)) {
        return;
    }

    bytes = wsgi_errors_encode(text);

    if (bytes) {
        wsgi_host->log(thread->request->job, NWSGI_LOG_ERR,
                       PyBytes_AS_STRING(bytes),
                       (size_t) PyBytes_GET_SIZE(bytes));
        Py_DECREF(bytes);
    }
}


int
wsgi_thread_raise(unsigned long ident)
{
    return PyThreadState_SetAsyncExc(ident, wsgi.request_timeout);
}
