/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * stub_runtime.c: a libngx_wsgi.so without Go and Python, so that the nginx
 * module can be run alone, under valgrind or a sanitizer, and measured.
 *
 *   cc -shared -fPIC -pthread -Iinclude -o libngx_wsgi.so ci/stub_runtime.c
 *
 * PATH_INFO says what the "application" does, the query string is a number:
 *
 *   /hello         a few bytes                     /empty     no body
 *   /environ       all entries, a line each        /echo      the body
 *   /big?N         N bytes in one message          /lend?N    N lent bytes
 *   /stream?N      N messages of 8 KB              /file?N    a file of N bytes
 *   /sleep?N       waits N ms, or until gone       /log?N     N log lines
 *   /stuck?N       waits N ms whatever happens     /longlog   one of 5000 bytes
 *   /fail-before   ends with an error              /fail-after
 *   /short         promises more than it sends     /early     a status of 103
 *   /chunks?N      N chunks, 10 ms apart           /no-end    OK without LAST
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nwsgi.h"


#define STUB_MAX_POOLS    16
#define STUB_MAX_THREADS  256
#define STUB_CHUNK        8192


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


typedef struct {
    FILE                *file;
    char                 bytes[];
} stub_owner_t;


typedef struct {
    const char          *path;
    int32_t            (*run)(nwsgi_job_t *job, uint64_t n);
} stub_route_t;


static const nwsgi_host_t  *host;
static stub_pool_t          pools[STUB_MAX_POOLS];
static uint32_t             npools;
static pthread_t            threads[STUB_MAX_THREADS];
static uint32_t             nthreads;
static atomic_int           running;
static atomic_int           stopping;
static atomic_int           lent;
static char                 page[STUB_CHUNK];


static const nwsgi_field_t  stub_fields[] = {
    { "Content-Type", "text/plain; charset=utf-8", 12, 25 },
    { "Set-Cookie", "a=1", 10, 3 },
    { "Set-Cookie", "b=2", 10, 3 }
};


static void
stub_say(nwsgi_job_t *job, uint32_t level, const char *text)
{
    host->log(job, level, text, strlen(text));
}


static void
stub_sleep(uint64_t ms)
{
    struct timespec  ts;

    ts.tv_sec = (time_t) (ms / 1000);
    ts.tv_nsec = (long) (ms % 1000) * 1000000;

    nanosleep(&ts, NULL);
}


/* python.  Sends, and waits if it has to.  0, or -1: nobody wants the rest. */

static int
stub_send(nwsgi_job_t *job, uint32_t flags, int64_t length, const void *body,
    size_t len, uint64_t owner)
{
    int32_t          rc;
    nwsgi_message_t  msg;

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = flags;
    msg.content_length = -1;
    msg.body = body;
    msg.body_len = len;
    msg.owner = owner;

    if (flags & NWSGI_SEND_HEAD) {
        msg.status = 200;
        msg.reason = "Fine";
        msg.reason_len = 4;
        msg.fields = stub_fields;
        msg.nfields = sizeof(stub_fields) / sizeof(nwsgi_field_t);
        msg.content_length = length;
    }

    rc = host->send(job, &msg);

    if (rc == NWSGI_AGAIN) {
        rc = host->wait(job);
    }

    return rc == NWSGI_OK ? 0 : -1;
}


static int
stub_whole(nwsgi_job_t *job, const void *body, size_t len)
{
    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, (int64_t) len, body,
                     len, 0);
}


static int32_t
stub_hello(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_whole(job, "Hello, world!\n", 14);
}


static int32_t
stub_empty(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_whole(job, NULL, 0);
}


static int32_t
stub_environ(nwsgi_job_t *job, uint64_t n)
{
    int                   rc;
    char                 *text, *p;
    uint32_t              i;
    const nwsgi_var_t    *var;
    const nwsgi_block_t  *block;

    (void) n;

    block = job->block;

    text = malloc(block->size + 64 * (size_t) block->nvars + 64);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    p = text;

    for (i = 0; i < block->nvars; i++) {
        var = &block->vars[i];

        p += sprintf(p, "%.*s=%.*s%s\n",
                     (int) var->name.len,
                     (const char *) nwsgi_data(block, var->name),
                     (int) var->value.len,
                     (const char *) nwsgi_data(block, var->value),
                     var->hash == nwsgi_hash(nwsgi_data(block, var->name),
                                             var->name.len)
                     ? "" : " (wrong hash)");
    }

    rc = stub_whole(job, text, (size_t) (p - text));

    free(text);

    return rc;
}


static int32_t
stub_echo(nwsgi_job_t *job, uint64_t n)
{
    int32_t               rc;
    char                 *text;
    ssize_t               got;
    const nwsgi_block_t  *block;

    (void) n;

    block = job->block;

    if (block->flags & NWSGI_BLOCK_BODY_MEMORY) {
        return stub_whole(job, nwsgi_data(block, block->body), block->body.len);
    }

    if (!(block->flags & NWSGI_BLOCK_BODY_FILE)) {
        return stub_whole(job, NULL, 0);
    }

    text = malloc(block->body_len);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    got = pread(block->body_fd, text, block->body_len, 0);

    rc = (got == (ssize_t) block->body_len)
         ? stub_whole(job, text, block->body_len) : NWSGI_ERROR;

    free(text);

    return rc;
}


static int32_t
stub_big(nwsgi_job_t *job, uint64_t n)
{
    int32_t   rc;
    char     *text;

    text = calloc(1, n + 1);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    rc = stub_whole(job, text, n);

    free(text);

    return rc;
}


/* What is lent to the host, until stub_release(). */

static stub_owner_t *
stub_own(size_t size, FILE *file)
{
    stub_owner_t  *owner;

    owner = calloc(1, sizeof(stub_owner_t) + size);

    if (owner) {
        owner->file = file;
        atomic_fetch_add(&lent, 1);
    }

    return owner;
}


static int32_t
stub_lend(nwsgi_job_t *job, uint64_t n)
{
    stub_owner_t  *owner;

    owner = stub_own(n, NULL);

    if (owner == NULL) {
        return NWSGI_ERROR;
    }

    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, (int64_t) n,
                     owner->bytes, n, (uint64_t) (uintptr_t) owner);
}


static int32_t
stub_file(nwsgi_job_t *job, uint64_t n)
{
    FILE             *file;
    stub_owner_t     *owner;
    nwsgi_message_t   msg;

    file = tmpfile();

    if (file == NULL || ftruncate(fileno(file), (off_t) n) == -1) {
        return NWSGI_ERROR;
    }

    owner = stub_own(0, file);

    if (owner == NULL) {
        return NWSGI_ERROR;
    }

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = NWSGI_SEND_HEAD|NWSGI_SEND_LAST|NWSGI_SEND_FILE;
    msg.status = 200;
    msg.fields = stub_fields;
    msg.nfields = 1;
    msg.fd = fileno(file);
    msg.body_len = n;
    msg.content_length = (int64_t) n;
    msg.owner = (uint64_t) (uintptr_t) owner;

    return host->send(job, &msg) == NWSGI_OK ? 0 : -1;
}


static int32_t
stub_stream(nwsgi_job_t *job, uint64_t n)
{
    uint64_t  i;

    for (i = 0; i < n; i++) {
        if (stub_send(job, i ? 0 : NWSGI_SEND_HEAD, -1, page, STUB_CHUNK, 0)
            != 0)
        {
            return NWSGI_ERROR;
        }
    }

    return stub_send(job, NWSGI_SEND_LAST | (n ? 0 : NWSGI_SEND_HEAD), -1,
                     NULL, 0, 0);
}


static int32_t
stub_chunks(nwsgi_job_t *job, uint64_t n)
{
    uint64_t  i;
    char      text[32];

    for (i = 0; i < n; i++) {
        stub_sleep(10);

        if (stub_send(job, i ? 0 : NWSGI_SEND_HEAD, -1, text,
                      (size_t) sprintf(text, "%lu\n", (unsigned long) i), 0)
            != 0)
        {
            return NWSGI_ERROR;
        }
    }

    return stub_send(job, NWSGI_SEND_LAST | (n ? 0 : NWSGI_SEND_HEAD), -1,
                     NULL, 0, 0);
}


static int32_t
stub_wait(nwsgi_job_t *job, uint64_t n)
{
    for ( /* void */ ; n; n--) {
        stub_sleep(1);

        if (host->gone(job)) {
            return NWSGI_ERROR;
        }
    }

    return stub_hello(job, 0);
}


static int32_t
stub_stuck(nwsgi_job_t *job, uint64_t n)
{
    stub_sleep(n);

    return stub_hello(job, 0);
}


static int32_t
stub_log(nwsgi_job_t *job, uint64_t n)
{
    uint64_t  i;
    char      text[64];

    for (i = 0; i < n; i++) {
        (void) sprintf(text, "line %lu\nand its second\n", (unsigned long) i);
        stub_say(job, NWSGI_LOG_ERR, text);
    }

    return stub_hello(job, 0);
}


static int32_t
stub_longlog(nwsgi_job_t *job, uint64_t n)
{
    char    text[5000];
    size_t  i;

    (void) n;

    for (i = 0; i < sizeof(text); i += 2) {
        text[i] = (char) 0xc3;
        text[i + 1] = (char) 0xa9;
    }

    host->log(job, NWSGI_LOG_ERR, text, sizeof(text));

    return stub_hello(job, 0);
}


static int32_t
stub_fail_before(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    stub_say(job, NWSGI_LOG_ERR, "failed before the head");

    return NWSGI_ERROR;
}


static int32_t
stub_fail_after(nwsgi_job_t *job, uint64_t n)
{
    (void) n;
    (void) stub_send(job, NWSGI_SEND_HEAD, -1, "half", 4, 0);

    stub_say(job, NWSGI_LOG_ERR, "failed after the head");

    return NWSGI_ERROR;
}


static int32_t
stub_short(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, 100, "half", 4, 0);
}


static int32_t
stub_early(nwsgi_job_t *job, uint64_t n)
{
    nwsgi_message_t  msg;

    (void) n;

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = NWSGI_SEND_HEAD|NWSGI_SEND_LAST;
    msg.status = 103;
    msg.content_length = -1;

    return host->send(job, &msg) == NWSGI_OK ? 0 : -1;
}


static int32_t
stub_no_end(nwsgi_job_t *job, uint64_t n)
{
    (void) n;
    (void) stub_send(job, NWSGI_SEND_HEAD, -1, "half", 4, 0);

    return NWSGI_OK;
}


static const stub_route_t  routes[] = {
    { "/hello", stub_hello },
    { "/empty", stub_empty },
    { "/environ", stub_environ },
    { "/echo", stub_echo },
    { "/big", stub_big },
    { "/lend", stub_lend },
    { "/stream", stub_stream },
    { "/chunks", stub_chunks },
    { "/file", stub_file },
    { "/sleep", stub_wait },
    { "/stuck", stub_stuck },
    { "/log", stub_log },
    { "/longlog", stub_longlog },
    { "/fail-before", stub_fail_before },
    { "/fail-after", stub_fail_after },
    { "/short", stub_short },
    { "/early", stub_early },
    { "/no-end", stub_no_end }
};


/* The value of an entry, as a string in "buf". */

static void
stub_get(const nwsgi_block_t *block, const char *name, char *buf, size_t size)
{
    size_t              len;
    uint32_t            i;
    const nwsgi_var_t  *var;

    buf[0] = '\0';

    for (i = 0; i < block->nvars; i++) {
        var = &block->vars[i];

        if (var->name.len == strlen(name)
            && memcmp(nwsgi_data(block, var->name), name, var->name.len) == 0)
        {
            len = var->value.len < size ? var->value.len : size - 1;
            memcpy(buf, nwsgi_data(block, var->value), len);
            buf[len] = '\0';
        }
    }
}


static void
stub_run(nwsgi_job_t *job)
{
    char      path[64], args[32];
    size_t    i;
    int32_t   rc;

    if (host->begin(job) != NWSGI_OK) {
        host->end(job, NWSGI_ERROR);
        return;
    }

    stub_get(job->block, "PATH_INFO", path, sizeof(path));
    stub_get(job->block, "QUERY_STRING", args, sizeof(args));

    rc = NWSGI_ERROR;

    for (i = 0; i < sizeof(routes) / sizeof(stub_route_t); i++) {
        if (strcmp(routes[i].path, path) == 0) {
            rc = routes[i].run(job, strtoul(args, NULL, 10));
            break;
        }
    }

    host->end(job, rc);
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

    memset(page, 'x', sizeof(page));

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


static void
stub_release(uint64_t owner)
{
    stub_owner_t  *o;

    o = (stub_owner_t *) (uintptr_t) owner;

    if (o->file) {
        fclose(o->file);
    }

    free(o);
    atomic_fetch_sub(&lent, 1);
}


static int32_t
stub_stop(uint32_t wait)
{
    char             text[64];
    uint32_t         i;
    static uint32_t  waited;

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
                    atomic_load(&lent));
    stub_say(NULL, NWSGI_LOG_NOTICE, text);

    return NWSGI_OK;
}


static const nwsgi_runtime_t  runtime = {
    .size = sizeof(nwsgi_runtime_t),
    .abi = NWSGI_ABI,
    .start = stub_start,
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

    host = table;

    return &runtime;
}
