
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host table: what Python threads may call, see nwsgi.h.
 *
 * Every function here runs on any thread, but for the second half of the file.
 * So nothing here is nginx's but types: memory is malloc()ed, what is shared
 * is atomic, and the loop gets messages by its mailbox, _mailbox.c.
 */


#include "ngx_http_wsgi_zone.h"


#define NGX_HTTP_WSGI_MAX_SPARES  128


static int32_t ngx_http_wsgi_host_begin(nwsgi_job_t *nj);
static int32_t ngx_http_wsgi_host_send(nwsgi_job_t *nj,
    const nwsgi_message_t *msg);
static int32_t ngx_http_wsgi_host_wait(nwsgi_job_t *nj);
static int32_t ngx_http_wsgi_host_gone(nwsgi_job_t *nj);
static void ngx_http_wsgi_host_end(nwsgi_job_t *nj, int32_t result);

static ngx_http_wsgi_message_t *ngx_http_wsgi_create_message(
    ngx_http_wsgi_job_t *job, size_t size);
static u_char *ngx_http_wsgi_copy_text(ngx_str_t *to, u_char *p,
    const void *text, size_t len);
static void ngx_http_wsgi_host_drop(const nwsgi_message_t *msg);


/* loop only */

static ngx_http_wsgi_message_t  *ngx_http_wsgi_spares;
static ngx_uint_t                ngx_http_wsgi_nspares;


const nwsgi_host_t  ngx_http_wsgi_host = {
    sizeof(nwsgi_host_t),
    NWSGI_ABI,
    ngx_http_wsgi_host_log,
    ngx_http_wsgi_host_record,
    ngx_http_wsgi_host_ready,
    ngx_http_wsgi_host_drain,
    ngx_http_wsgi_host_hold,
    ngx_http_wsgi_host_where,
    ngx_http_wsgi_host_begin,
    ngx_http_wsgi_host_send,
    ngx_http_wsgi_host_wait,
    ngx_http_wsgi_host_read,
    NGX_HTTP_WSGI_HOST_EARLY_HINTS,
    ngx_http_wsgi_host_gone,
    ngx_http_wsgi_host_end,
    ngx_http_wsgi_host_forked
};


static int32_t
ngx_http_wsgi_host_begin(nwsgi_job_t *nj)
{
    uint64_t              now;
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    if (__atomic_load_n(&job->over, __ATOMIC_ACQUIRE)) {
        return NWSGI_GONE;
    }

    now = ngx_http_wsgi_now();

    ngx_http_wsgi_flight_begun(job, now);

    __atomic_store_n(&job->progress, now, __ATOMIC_RELAXED);
    __atomic_store_n(&job->begun, now, __ATOMIC_RELEASE);

    return NWSGI_OK;
}


static int32_t
ngx_http_wsgi_host_send(nwsgi_job_t *nj, const nwsgi_message_t *msg)
{
    uint64_t                  unsent;
    ngx_http_wsgi_job_t      *job;
    ngx_http_wsgi_message_t  *m;

    job = (ngx_http_wsgi_job_t *) nj;

    if (ngx_http_wsgi_is_child
        || __atomic_load_n(&job->over, __ATOMIC_ACQUIRE))
    {
        ngx_http_wsgi_host_drop(msg);
        __atomic_store_n(&job->progress, ngx_http_wsgi_now(),
                         __ATOMIC_RELEASE);
        return job->deaf ? NWSGI_OK : NWSGI_GONE;
    }

    m = ngx_http_wsgi_copy_message(job, msg);
    if (m == NULL) {
        job->starved = ngx_errno;
        ngx_http_wsgi_host_drop(msg);
        return NWSGI_ERROR;
    }

    if (msg->flags & NWSGI_SEND_LAST) {
        job->last = 1;
    }

    unsent = __atomic_add_fetch(&job->unsent, m->credit, __ATOMIC_SEQ_CST);
    __atomic_store_n(&job->progress, ngx_http_wsgi_now(), __ATOMIC_RELEASE);

    ngx_http_wsgi_push(m, 1);

    return (unsent > __atomic_load_n(&job->limit, __ATOMIC_RELAXED)
            && !job->last)
           ? NWSGI_AGAIN : NWSGI_OK;
}


/*
 * A message that is not taken: what it lends goes back.  Not in a child, which
 * may have been forked while another thread had the runtime's locks.
 */

static void
ngx_http_wsgi_host_drop(const nwsgi_message_t *msg)
{
    if (msg->owner && !ngx_http_wsgi_is_child) {
        ngx_http_wsgi_process.runtime->release(msg->owner);
    }
}


static ngx_http_wsgi_message_t *
ngx_http_wsgi_create_message(ngx_http_wsgi_job_t *job, size_t size)
{
    ngx_http_wsgi_message_t  *m;

    if (job->spare && size <= NGX_HTTP_WSGI_SPARE_SIZE) {
        m = job->spare;
        m->spare = 1;

        job->spare = NULL;

        return m;
    }

    m = malloc(size);

    if (m) {
        m->spare = 0;
    }

    return m;
}


ngx_http_wsgi_message_t *
ngx_http_wsgi_copy_message(ngx_http_wsgi_job_t *job,
    const nwsgi_message_t *msg)
{
    u_char                   *p;
    size_t                    size;
    uint32_t                  i;
    ngx_fd_t                  fd;
    ngx_keyval_t             *field;
    const nwsgi_field_t      *f;
    ngx_http_wsgi_message_t  *m;

    size = sizeof(ngx_http_wsgi_message_t) + msg->nfields * sizeof(ngx_keyval_t)
           + msg->reason_len + msg->user_len
           + (msg->owner ? 0 : msg->body_len);

    for (i = 0; i < msg->nfields; i++) {
        size += msg->fields[i].name_len + msg->fields[i].value_len;
    }

    fd = NGX_INVALID_FILE;

    if (msg->flags & NWSGI_SEND_FILE) {
        fd = fcntl(msg->fd, F_DUPFD_CLOEXEC, 0);

        if (fd == NGX_INVALID_FILE) {
            return NULL;
        }
    }

    m = ngx_http_wsgi_create_message(job, size);

    if (m == NULL) {

        if (fd != NGX_INVALID_FILE) {
            (void) close(fd);
            ngx_set_errno(NGX_ENOMEM);
        }

        return NULL;
    }

    m->job = job;
    m->type = NGX_HTTP_WSGI_MESSAGE_SEND;
    m->flags = msg->flags;
    m->status = msg->status;
    m->nfields = msg->nfields;
    m->content_length = msg->content_length;
    m->owner = msg->owner;
    m->fd = fd;
    m->offset = msg->offset;
    m->credit = sizeof(ngx_http_wsgi_message_t) + msg->body_len;
    m->fields = (ngx_keyval_t *) (m + 1);

    p = (u_char *) (m->fields + msg->nfields);

    for (i = 0; i < msg->nfields; i++) {
        f = &msg->fields[i];
        field = &m->fields[i];

        p = ngx_http_wsgi_copy_text(&field->key, p, f->name, f->name_len);
        p = ngx_http_wsgi_copy_text(&field->value, p, f->value, f->value_len);
    }

    p = ngx_http_wsgi_copy_text(&m->reason, p, msg->reason, msg->reason_len);
    p = ngx_http_wsgi_copy_text(&m->user, p, msg->user, msg->user_len);

    if (msg->owner) {
        m->body.data = (u_char *) msg->body;
        m->body.len = msg->body_len;

    } else {
        (void) ngx_http_wsgi_copy_text(&m->body, p, msg->body, msg->body_len);
    }

    return m;
}


static u_char *
ngx_http_wsgi_copy_text(ngx_str_t *to, u_char *p, const void *text, size_t len)
{
    to->data = p;
    to->len = len;

    return len ? ngx_cpymem(p, text, len) : p;
}


static int32_t
ngx_http_wsgi_host_wait(nwsgi_job_t *nj)
{
    uint32_t              over;
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    if (ngx_http_wsgi_is_child) {
        return NWSGI_GONE;
    }

    (void) pthread_mutex_lock(&job->mutex);

    /* the loop looks at "waiting" after it has changed what is read here */

    __atomic_store_n(&job->waiting, 1, __ATOMIC_SEQ_CST);

    for ( ;; ) {
        over = __atomic_load_n(&job->over, __ATOMIC_SEQ_CST);

        if (over
            || __atomic_load_n(&job->unsent, __ATOMIC_SEQ_CST)
               <= __atomic_load_n(&job->limit, __ATOMIC_RELAXED) / 2)
        {
            break;
        }

        (void) pthread_cond_wait(&job->cond, &job->mutex);
    }

    __atomic_store_n(&job->waiting, 0, __ATOMIC_SEQ_CST);

    (void) pthread_mutex_unlock(&job->mutex);

    __atomic_store_n(&job->progress, ngx_http_wsgi_now(), __ATOMIC_RELEASE);

    return (over && !job->deaf) ? NWSGI_GONE : NWSGI_OK;
}


static int32_t
ngx_http_wsgi_host_gone(nwsgi_job_t *nj)
{
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    return ngx_http_wsgi_is_child
           || (__atomic_load_n(&job->over, __ATOMIC_ACQUIRE) && !job->deaf);
}


void
ngx_http_wsgi_ask_body(ngx_http_wsgi_job_t *job)
{
    if (job->stream.asked) {
        return;
    }

    job->stream.asked = 1;

    job->ask.job = job;
    job->ask.type = NGX_HTTP_WSGI_MESSAGE_BODY;

    ngx_http_wsgi_push(&job->ask, 1);
}


static void
ngx_http_wsgi_host_end(nwsgi_job_t *nj, int32_t result)
{
    ngx_http_wsgi_job_t      *job;
    ngx_http_wsgi_message_t  *m;

    if (ngx_http_wsgi_is_child) {
        return;
    }

    job = (ngx_http_wsgi_job_t *) nj;

    ngx_http_wsgi_flight_ended(job);

    m = &job->end;

    m->job = job;
    m->type = NGX_HTTP_WSGI_MESSAGE_END;
    m->result = result;

    /*
     * After the last message there is nothing but memory to give back, and
     * that can wait until the loop wakes up for something else.  A file that
     * holds disk space cannot.
     */

    ngx_http_wsgi_push(m, !job->last || job->job.block->body_fd != -1);
}


uint64_t
ngx_http_wsgi_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
ngx_http_wsgi_credit(ngx_http_wsgi_job_t *job, size_t n)
{
    (void) __atomic_sub_fetch(&job->unsent, n, __ATOMIC_SEQ_CST);

    if (__atomic_load_n(&job->waiting, __ATOMIC_SEQ_CST)) {
        (void) pthread_mutex_lock(&job->mutex);
        (void) pthread_cond_signal(&job->cond);
        (void) pthread_mutex_unlock(&job->mutex);
    }
}


void
ngx_http_wsgi_set_over(ngx_http_wsgi_job_t *job)
{
    __atomic_store_n(&job->over, 1, __ATOMIC_SEQ_CST);

    ngx_http_wsgi_credit(job, 0);
}


void
ngx_http_wsgi_free_message(ngx_http_wsgi_message_t *m)
{
    if (m->owner) {
        ngx_http_wsgi_process.runtime->release(m->owner);
    }

    if (m->flags & NWSGI_SEND_FILE) {
        (void) close(m->fd);
    }

    if (m->spare) {
        ngx_http_wsgi_put_spare(m);
        return;
    }

    free(m);
}


void
ngx_http_wsgi_get_spare(ngx_http_wsgi_job_t *job)
{
    if (ngx_http_wsgi_spares) {
        job->spare = ngx_http_wsgi_spares;

        ngx_http_wsgi_spares = job->spare->next;
        ngx_http_wsgi_nspares--;

        return;
    }

    /* without one the thread looks for memory itself */

    job->spare = malloc(NGX_HTTP_WSGI_SPARE_SIZE);
}


void
ngx_http_wsgi_put_spare(ngx_http_wsgi_message_t *m)
{
    if (ngx_http_wsgi_nspares == NGX_HTTP_WSGI_MAX_SPARES) {
        free(m);
        return;
    }

    m->next = ngx_http_wsgi_spares;

    ngx_http_wsgi_spares = m;
    ngx_http_wsgi_nspares++;
}
