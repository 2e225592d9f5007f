/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The queues between nginx's loop and the threads of the pools.
 *
 * A queue's lock is held for some dozens of instructions and never while
 * something waits for the GIL, so the loop never waits for Python here.
 *
 * Waking is what costs: a futex call, a context switch and a fight over the
 * GIL.  So
 *
 * - a thread that has ended a job looks for the next one before it gives up
 *   the GIL: under load one thread serves many requests in a row;
 * - at most one thread is on its way out of sleep at a time ("waking"); when
 *   it has taken its job, it wakes the next one if there is more to do, as it
 *   is when the running threads wait for something else than the GIL;
 * - the thread that fell asleep last is woken first: its stack is still in
 *   the cache, and those that are not needed stay asleep.
 */

#include "wsgi_python.h"


typedef struct {
    pthread_mutex_t   lock;
    nwsgi_job_t      *first;
    nwsgi_job_t      *last;
    wsgi_thread_t    *idle;         /* a stack */
    uint32_t          nidle;
    uint32_t          queued;
    uint32_t          limit;
    uint32_t          waking;
    int               closed;
    int               refusing;
    int               submitted;    /* since the last kick; the loop's own */
} wsgi_queue_t;


static wsgi_queue_t  *wsgi_queues;
static uint32_t       wsgi_nqueues;


static void wsgi_queue_end_all(int32_t result);
static int wsgi_queue_take(wsgi_queue_t *queue, wsgi_thread_t *self,
    nwsgi_job_t **job);
static void wsgi_queue_sleep(wsgi_queue_t *queue, wsgi_thread_t *self);
static void wsgi_queue_wake_next(wsgi_queue_t *queue);
static void wsgi_queue_unlink(wsgi_queue_t *queue, nwsgi_job_t *job);


int
wsgi_queue_init(const nwsgi_config_t *conf)
{
    uint32_t  i;

    wsgi_queues = calloc(conf->npools, sizeof(wsgi_queue_t));
    if (wsgi_queues == NULL) {
        return -1;
    }

    wsgi_nqueues = conf->npools;

    for (i = 0; i < wsgi_nqueues; i++) {
        pthread_mutex_init(&wsgi_queues[i].lock, NULL);
        wsgi_queues[i].limit = conf->pools[i].queue;
    }

    return 0;
}


void
wsgi_queue_close(void)
{
    uint32_t        i;
    wsgi_queue_t   *queue;
    wsgi_thread_t  *thread;

    for (i = 0; i < wsgi_nqueues; i++) {
        queue = &wsgi_queues[i];

        pthread_mutex_lock(&queue->lock);

        queue->closed = 1;

        for (thread = queue->idle; thread; thread = thread->idle_next) {
            pthread_cond_signal(&thread->wake);
        }

        pthread_mutex_unlock(&queue->lock);
    }
}


void
wsgi_queue_fail(void)
{
    wsgi_queue_close();
    wsgi_queue_end_all(NWSGI_ERROR);
}


void
wsgi_queue_refuse(void)
{
    uint32_t       i;
    wsgi_queue_t  *queue;

    for (i = 0; i < wsgi_nqueues; i++) {
        queue = &wsgi_queues[i];

        pthread_mutex_lock(&queue->lock);
        queue->refusing = 1;
        pthread_mutex_unlock(&queue->lock);
    }

    wsgi_queue_end_all(NWSGI_BUSY);
}


static void
wsgi_queue_end_all(int32_t result)
{
    uint32_t      i;
    nwsgi_job_t  *job;

    for (i = 0; i < wsgi_nqueues; i++) {
        for ( ;; ) {
            (void) wsgi_queue_take(&wsgi_queues[i], NULL, &job);

            if (job == NULL) {
                break;
            }

            wsgi_host->end(job, result);
        }
    }
}


int32_t
wsgi_queue_submit(nwsgi_job_t *job)
{
    int32_t        rc;
    wsgi_queue_t  *queue;

    queue = &wsgi_queues[job->pool];
    rc = NWSGI_OK;

    pthread_mutex_lock(&queue->lock);

    if (queue->closed) {
        rc = NWSGI_ERROR;

    } else if (queue->refusing
               || queue->queued >= queue->limit + queue->nidle
                                   + queue->waking)
    {
        rc = NWSGI_BUSY;

    } else {
        job->next = NULL;
        job->prev = queue->last;
        job->queued = 1;

        if (queue->last) {
            queue->last->next = job;
        } else {
            queue->first = job;
        }

        queue->last = job;
        queue->queued++;
        queue->submitted = 1;
    }

    pthread_mutex_unlock(&queue->lock);

    return rc;
}


void
wsgi_queue_kick(void)
{
    uint32_t       i;
    wsgi_queue_t  *queue;

    for (i = 0; i < wsgi_nqueues; i++) {
        queue = &wsgi_queues[i];

        if (queue->submitted) {
            queue->submitted = 0;

            pthread_mutex_lock(&queue->lock);
            wsgi_queue_wake_next(queue);
            pthread_mutex_unlock(&queue->lock);
        }
    }
}


int32_t
wsgi_queue_withdraw(nwsgi_job_t *job)
{
    int32_t        rc;
    wsgi_queue_t  *queue;

    queue = &wsgi_queues[job->pool];
    rc = NWSGI_AGAIN;

    pthread_mutex_lock(&queue->lock);

    if (job->queued) {
        wsgi_queue_unlink(queue, job);
        rc = NWSGI_OK;
    }

    pthread_mutex_unlock(&queue->lock);

    return rc;
}


nwsgi_job_t *
wsgi_queue_next(wsgi_thread_t *self)
{
    int             expected;
    nwsgi_job_t    *job;
    wsgi_queue_t   *queue;
    PyThreadState  *tstate;

    queue = &wsgi_queues[self->pool];

    for ( ;; ) {

        /*
         * What is dropped may run code of an application, for long.  One that
         * is on its way to a job takes that first, as nobody else is woken
         * until then, and leaves the rest to another.
         */

        expected = self->woken;

        if (!expected) {
            wsgi_owner_drop_all();
        }

        if (wsgi_forked) {

            /* a job in this copy of the queue is one that the parent runs */

            wsgi_fork_end();
        }

        if (wsgi_queue_take(queue, self, &job)) {

            if (expected && wsgi_owner_waiting()) {
                wsgi_queue_wake_any();
            }

            return job;
        }

        tstate = PyEval_SaveThread();
        wsgi_queue_sleep(queue, self);
        PyEval_RestoreThread(tstate);
    }
}


/*
 * 1: "*job" is to be run, or the thread has to leave (NULL); 0: there is
 * nothing to do.  "self" is NULL when nobody is to run the job.
 */

static int
wsgi_queue_take(wsgi_queue_t *queue, wsgi_thread_t *self, nwsgi_job_t **job)
{
    int  leave;

    *job = NULL;
    leave = self && wsgi_thread_leaving(self);

    pthread_mutex_lock(&queue->lock);

    if (self && self->woken) {
        self->woken = 0;
        queue->waking--;
    }

    if (queue->first && !leave) {
        *job = queue->first;
        wsgi_queue_unlink(queue, *job);
    }

    leave |= queue->closed;

    wsgi_queue_wake_next(queue);

    pthread_mutex_unlock(&queue->lock);

    return *job || leave;
}


/* Without the GIL: returns when there may be something to do. */

static void
wsgi_queue_sleep(wsgi_queue_t *queue, wsgi_thread_t *self)
{
    wsgi_thread_t  **p;

    pthread_mutex_lock(&queue->lock);

    self->asleep = 1;
    self->idle_next = queue->idle;
    queue->idle = self;
    queue->nidle++;

    while (queue->first == NULL
           && !self->woken
           && !queue->closed
           && !wsgi_thread_leaving(self)
           && !wsgi_owner_waiting())
    {
        pthread_cond_wait(&self->wake, &queue->lock);
    }

    if (self->asleep) {

        /* nobody chose this thread: it is still on the stack */

        for (p = &queue->idle; *p != self; p = &(*p)->idle_next) {
            /* void */
        }

        *p = self->idle_next;
        self->asleep = 0;
        queue->nidle--;
    }

    pthread_mutex_unlock(&queue->lock);
}


void
wsgi_queue_wake(wsgi_thread_t *thread)
{
    wsgi_queue_t  *queue;

    queue = &wsgi_queues[thread->pool];

    pthread_mutex_lock(&queue->lock);
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&queue->lock);
}


/* loop: some thread has references to drop, see wsgi_owner_release() */

void
wsgi_queue_wake_any(void)
{
    uint32_t       i;
    wsgi_queue_t  *queue;

    for (i = 0; i < wsgi_nqueues; i++) {
        queue = &wsgi_queues[i];

        pthread_mutex_lock(&queue->lock);

        if (queue->idle) {
            pthread_cond_signal(&queue->idle->wake);
            pthread_mutex_unlock(&queue->lock);
            return;
        }

        pthread_mutex_unlock(&queue->lock);
    }
}


/* under the lock */

static void
wsgi_queue_wake_next(wsgi_queue_t *queue)
{
    wsgi_thread_t  *thread;

    thread = queue->idle;

    if (queue->first == NULL || thread == NULL || queue->waking) {
        return;
    }

    queue->idle = thread->idle_next;
    queue->nidle--;
    queue->waking++;

    thread->asleep = 0;
    thread->woken = 1;

    pthread_cond_signal(&thread->wake);
}


/* under the lock */

static void
wsgi_queue_unlink(wsgi_queue_t *queue, nwsgi_job_t *job)
{
    if (job->prev) {
        job->prev->next = job->next;
    } else {
        queue->first = job->next;
    }

    if (job->next) {
        job->next->prev = job->prev;
    } else {
        queue->last = job->prev;
    }

    job->next = NULL;
    job->prev = NULL;
    job->queued = 0;

    queue->queued--;
}
