/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * stub_runtime.c: a libngx_wsgi.so without Go and Python, so that the nginx
 * module can be run alone, under valgrind or a sanitizer, and measured.
 *
 *   cc -shared -fPIC -pthread -Iinclude -o libngx_wsgi.so ci/stub_*.c
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "stub.h"


#define STUB_MAX_POOLS    16
#define STUB_MAX_THREADS  256


#define STUB_TEXT_(n)  #n
#define STUB_TEXT(n)   STUB_TEXT_(n)

__attribute__((used))
static const char  stub_marker[] = NWSGI_MARKER STUB_TEXT(NWSGI_ABI);


typedef struct {
    pthread_mutex_t      mutex;
    pthread_cond_t       cond;
    nwsgi_job_t          head;            /* of a ring of queued jobs */
    uint32_t             waiting;
    uint32_t             limit;
    uint32_t             idle;
} stub_pool_t;


const nwsgi_host_t         *stub_host;

static stub_pool_t          pools[STUB_MAX_POOLS];
static uint32_t             npools;
static pthread_t            threads[STUB_MAX_THREADS];
static uint32_t             nthreads;
static atomic_int           running;
static atomic_int           stopping;


void
stub_say(nwsgi_job_t *job, uint32_t level, const char *text)
{
    stub_host->log(job, level, text, strlen(text));
}


void
stub_sleep(uint64_t ms)
{
    struct timespec  ts;

    ts.tv_sec = (time_t) (ms / 1000);
    ts.tv_nsec = (long) (ms % 1000) * 1000000;

    nanosleep(&ts, NULL);
}


static void *
stub_thread(void *data)
{
    nwsgi_job_t  *job;
    stub_pool_t  *pool;

    pool = data;

    for ( ;; ) {
        pthread_mutex_lock(&pool->mutex);

        while (pool->head.next == &pool->head && !atomic_load(&stopping)) {
            pool->idle++;
            pthread_cond_wait(&pool->cond, &pool->mutex);
            pool->idle--;
        }

        job = pool->head.next;

        if (job == &pool->head) {
            pthread_mutex_unlock(&pool->mutex);
            break;
        }

        job->next->prev = &pool->head;
        pool->head.next = job->next;
        job->queued = 0;
        pool->waiting--;

        pthread_mutex_unlock(&pool->mutex);

        stub_run(job);
    }

    atomic_fetch_sub(&running, 1);

    return NULL;
}


static int32_t
stub_start(const nwsgi_config_t *conf)
{
    uint32_t      i, n;
    stub_pool_t  *pool;

    if (conf->size != sizeof(*conf) || conf->npools > STUB_MAX_POOLS) {
        return NWSGI_ERROR;
    }

    npools = conf->npools;

    for (i = 0; i < npools; i++) {
        pool = &pools[i];

        pthread_mutex_init(&pool->mutex, NULL);
        pthread_cond_init(&pool->cond, NULL);

        pool->head.next = &pool->head;
        pool->head.prev = &pool->head;
        pool->limit = conf->pools[i].queue;

        for (n = 0; n < conf->pools[i].threads; n++) {

            if (nthreads == STUB_MAX_THREADS
                || pthread_create(&threads[nthreads], NULL, stub_thread, pool)
                   != 0)
            {
                return NWSGI_ERROR;
            }

            nthreads++;
            atomic_fetch_add(&running, 1);
        }
    }

    stub_say(NULL, NWSGI_LOG_NOTICE, "the stub runtime has started");

    return NWSGI_OK;
}


static int32_t
stub_check(const nwsgi_config_t *conf)
{
    return conf->size == sizeof(*conf) ? NWSGI_OK : NWSGI_ERROR;
}


static int32_t
stub_submit(nwsgi_job_t *job)
{
    stub_pool_t  *pool;

    pool = &pools[job->pool];

    pthread_mutex_lock(&pool->mutex);

    if (pool->waiting == pool->limit || atomic_load(&stopping)) {
        pthread_mutex_unlock(&pool->mutex);
        return atomic_load(&stopping) ? NWSGI_ERROR : NWSGI_BUSY;
    }

    job->next = &pool->head;
    job->prev = pool->head.prev;
    job->prev->next = job;
    pool->head.prev = job;

    job->queued = 1;
    pool->waiting++;

    pthread_mutex_unlock(&pool->mutex);

    return NWSGI_OK;
}


static void
stub_kick(void)
{
    uint32_t      i;
    stub_pool_t  *pool;

    for (i = 0; i < npools; i++) {
        pool = &pools[i];

        pthread_mutex_lock(&pool->mutex);

        if (pool->idle && pool->waiting) {
            pthread_cond_broadcast(&pool->cond);
        }

        pthread_mutex_unlock(&pool->mutex);
    }
}


static int32_t
stub_withdraw(nwsgi_job_t *job)
{
    int32_t       rc;
    stub_pool_t  *pool;

    rc = NWSGI_AGAIN;
    pool = &pools[job->pool];

    pthread_mutex_lock(&pool->mutex);

    if (job->queued) {
        job->prev->next = job->next;
        job->next->prev = job->prev;
        job->queued = 0;
        pool->waiting--;

        rc = NWSGI_OK;
    }

    pthread_mutex_unlock(&pool->mutex);

    return rc;
}


static void
stub_interrupt(nwsgi_job_t *job, uint32_t reason)
{
    stub_say(job, NWSGI_LOG_ERR,
             reason == NWSGI_TIMEOUT ? "the stack would be here" : "cancelled");
}


static int32_t
stub_stop(uint32_t wait, uint32_t limit)
{
    char             text[64];
    uint32_t         i;
    static uint32_t  waited;

    (void) limit;

    atomic_store(&stopping, 1);

    for (i = 0; i < npools; i++) {
        pthread_mutex_lock(&pools[i].mutex);
        pthread_cond_broadcast(&pools[i].cond);
        pthread_mutex_unlock(&pools[i].mutex);
    }

    if (atomic_load(&running)) {
        stub_sleep(wait);
        waited += wait;

        if (atomic_load(&running)) {
            return waited < 2000 ? NWSGI_AGAIN : NWSGI_ERROR;
        }
    }

    for (i = 0; i < nthreads; i++) {
        pthread_join(threads[i], NULL);
    }

    (void) snprintf(text, sizeof(text), "the stub runtime has ended, %d lent",
                    stub_lent());
    stub_say(NULL, NWSGI_LOG_NOTICE, text);

    return NWSGI_OK;
}


static const nwsgi_runtime_t  runtime = {
    .size = sizeof(nwsgi_runtime_t),
    .abi = NWSGI_ABI,
    .start = stub_start,
    .check = stub_check,
    .submit = stub_submit,
    .kick = stub_kick,
    .withdraw = stub_withdraw,
    .interrupt = stub_interrupt,
    .release = stub_release,
    .stop = stub_stop
};


const nwsgi_runtime_t *
nwsgi_runtime(const nwsgi_host_t *table)
{
    if (table->abi != NWSGI_ABI || table->size != sizeof(nwsgi_host_t)) {
        return NULL;
    }

    stub_host = table;

    return &runtime;
}
