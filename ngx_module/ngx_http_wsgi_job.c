
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A job: what a request shares with Python threads, and for how long.
 *
 * A job has two owners, the request and the runtime, and is freed by the loop
 * when both have let it go, in either order:
 *
 *   the request   from ngx_http_wsgi_create_job() to ngx_http_wsgi_detach(),
 *                 when the response is complete, the client has gone, or the
 *                 time is over;
 *   the runtime   from submit() to withdraw() or the message of end(), which
 *                 may be long after the request: see ngx_http_wsgi_job_ended().
 *
 * The timer is wsgi_timeout, and also the limit of the queue, and also what
 * keeps an exiting worker alive until the request is done: nginx waits for
 * timers, not for requests.
 */


#include "ngx_http_wsgi_zone.h"


/* a job and its block are seldom larger; those of this size are kept */

#define NGX_HTTP_WSGI_JOB_SIZE  4096
#define NGX_HTTP_WSGI_KEEP      128

/* when no limit applies the timer still has to be there */

#define NGX_HTTP_WSGI_NO_LIMIT  3600000


static void ngx_http_wsgi_timer_handler(ngx_event_t *ev);
static void ngx_http_wsgi_check_queued(ngx_http_wsgi_ctx_t *ctx, uint64_t now);
static void ngx_http_wsgi_check_running(ngx_http_wsgi_ctx_t *ctx,
    uint64_t begun, uint64_t now);
static void ngx_http_wsgi_timed_out(ngx_http_wsgi_ctx_t *ctx, uint64_t begun,
    uint64_t now);
static void ngx_http_wsgi_set_timer(ngx_http_wsgi_ctx_t *ctx,
    uint64_t deadline, uint64_t now);


static ngx_uint_t   ngx_http_wsgi_nfree_jobs;
static ngx_queue_t  ngx_http_wsgi_free_jobs = {
    &ngx_http_wsgi_free_jobs, &ngx_http_wsgi_free_jobs
};


ngx_http_wsgi_job_t *
ngx_http_wsgi_create_job(size_t size, ngx_log_t *log)
{
    ngx_queue_t          *q;
    nwsgi_block_t        *block;
    ngx_http_wsgi_job_t  *job;

    size += sizeof(ngx_http_wsgi_job_t);

    if (size <= NGX_HTTP_WSGI_JOB_SIZE) {
        size = NGX_HTTP_WSGI_JOB_SIZE;
    }

    if (size == NGX_HTTP_WSGI_JOB_SIZE && ngx_http_wsgi_nfree_jobs) {
        q = ngx_queue_head(&ngx_http_wsgi_free_jobs);

        ngx_queue_remove(q);
        ngx_http_wsgi_nfree_jobs--;

        job = ngx_queue_data(q, ngx_http_wsgi_job_t, queue);

    } else {
        job = ngx_alloc(size, log);
        if (job == NULL) {
            return NULL;
        }
    }

    ngx_memzero(job, sizeof(ngx_http_wsgi_job_t));

    block = (nwsgi_block_t *) (job + 1);
    block->body_fd = -1;

    job->size = size;
    job->job.block = block;

    (void) pthread_mutex_init(&job->mutex, NULL);
    (void) pthread_cond_init(&job->cond, NULL);

    ngx_http_wsgi_get_spare(job);

    ngx_queue_insert_tail(&ngx_http_wsgi_process.jobs, &job->queue);

    return job;
}


void
ngx_http_wsgi_free_job(ngx_http_wsgi_job_t *job)
{
    int  fd;

    fd = job->job.block->body_fd;

    if (fd != -1 && ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " of a request body failed");
    }

    ngx_http_wsgi_free_stream(job);
    ngx_http_wsgi_flight_over(job);

    (void) pthread_cond_destroy(&job->cond);
    (void) pthread_mutex_destroy(&job->mutex);

    if (job->spare) {
        ngx_http_wsgi_put_spare(job->spare);
    }

    ngx_queue_remove(&job->queue);

    if (job->size != NGX_HTTP_WSGI_JOB_SIZE
        || ngx_http_wsgi_nfree_jobs == NGX_HTTP_WSGI_KEEP)
    {
        ngx_free(job);
        return;
    }

    /* the last freed is the warmest */

    ngx_queue_insert_head(&ngx_http_wsgi_free_jobs, &job->queue);
    ngx_http_wsgi_nfree_jobs++;
}


ngx_http_wsgi_job_t *
ngx_http_wsgi_find_job(uint64_t serial)
{
    ngx_queue_t          *q;
    ngx_http_wsgi_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_wsgi_process.jobs);
         q != ngx_queue_sentinel(&ngx_http_wsgi_process.jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_wsgi_job_t, queue);

        if (job->job.block->serial == serial) {
            return job;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_wsgi_count_waiting(void)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_http_wsgi_job_t  *job;

    n = 0;

    for (q = ngx_queue_head(&ngx_http_wsgi_process.jobs);
         q != ngx_queue_sentinel(&ngx_http_wsgi_process.jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_wsgi_job_t, queue);

        if (__atomic_load_n(&job->begun, __ATOMIC_ACQUIRE) == 0) {
            n++;
        }
    }

    return n;
}


ngx_int_t
ngx_http_wsgi_submit(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_request_t        *r;
    ngx_http_wsgi_job_t       *job;
    ngx_http_wsgi_loc_conf_t  *wlcf;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    job = ctx->job;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    job->ctx = ctx;
    job->job.pool = ctx->pool->index;
    job->timeout = wlcf->timeout;
    job->deaf = (wlcf->cancel == NGX_HTTP_WSGI_CANCEL_OFF);
    job->log = clcf->error_log ? clcf->error_log : ngx_cycle->log;

    ngx_http_wsgi_init_output(ctx);

    ctx->submitted = ngx_http_wsgi_now();

    ngx_http_wsgi_take_off(ctx);

    switch (ngx_http_wsgi_process.runtime->submit(&job->job)) {

    case NWSGI_OK:
        break;

    case NWSGI_BUSY:
        job->ended = 1;

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: the queue of pool \"%V\" is full or closed, "
                      "application \"%V\"", &ctx->pool->name, &ctx->app->name);

        return ngx_http_wsgi_busy(r);

    default:
        job->ended = 1;

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: this worker cannot run application \"%V\", "
                      "Python has not started or is ending", &ctx->app->name);

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->timer.handler = ngx_http_wsgi_timer_handler;
    ctx->timer.data = r->connection;
    ctx->timer.log = r->connection->log;

    ngx_http_wsgi_check_queued(ctx, ctx->submitted);

    ngx_http_wsgi_post(1);

    return NGX_OK;
}


ngx_uint_t
ngx_http_wsgi_is_lost(ngx_http_wsgi_ctx_t *ctx)
{
    return ngx_http_get_module_ctx(ctx->request, ngx_http_wsgi_module) != ctx;
}


void
ngx_http_wsgi_detach(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_job_t  *job;

    job = ctx->job;

    if (job == NULL) {
        return;
    }

    ctx->job = NULL;
    ctx->begun = __atomic_load_n(&job->begun, __ATOMIC_ACQUIRE);
    ctx->finished = ngx_http_wsgi_now();

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_wsgi_stop_spool(ctx);

    job->ctx = NULL;

    if (!job->ended) {
        ngx_http_wsgi_set_over(job);

        if (ctx->begun || ctx->taken
            || ngx_http_wsgi_process.runtime->withdraw(&job->job) != NWSGI_OK)
        {
            ngx_http_wsgi_watch_orphan(job);
            return;
        }
    }

    ngx_http_wsgi_free_job(job);
}


void
ngx_http_wsgi_job_ended(ngx_http_wsgi_job_t *job)
{
    job->ended = 1;

    ngx_http_wsgi_recycle_request();

    if (job->ctx == NULL) {
        ngx_http_wsgi_free_job(job);
    }
}


static void
ngx_http_wsgi_timer_handler(ngx_event_t *ev)
{
    uint64_t              now, begun;
    ngx_connection_t     *c;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = (ngx_http_wsgi_ctx_t *)
              ((u_char *) ev - offsetof(ngx_http_wsgi_ctx_t, timer));

    if (ngx_http_wsgi_is_lost(ctx)) {
        ngx_http_wsgi_detach(ctx);
        return;
    }

    c = ev->data;

    ngx_http_set_log_request(c->log, ctx->request);

    now = ngx_http_wsgi_now();
    begun = __atomic_load_n(&ctx->job->begun, __ATOMIC_ACQUIRE);

    if (begun) {
        ngx_http_wsgi_check_running(ctx, begun, now);

    } else {
        ngx_http_wsgi_check_queued(ctx, now);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Nobody says when the application begins: the timer looks after wsgi_timeout
 * at the latest, so that it cannot miss one that began in between.
 */

static void
ngx_http_wsgi_check_queued(ngx_http_wsgi_ctx_t *ctx, uint64_t now)
{
    uint64_t                   limit, next;
    ngx_http_request_t        *r;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    r = ctx->request;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    next = now + (wlcf->timeout ? wlcf->timeout : NGX_HTTP_WSGI_NO_LIMIT);

    if (ctx->taken || ctx->pool->queue_timeout == 0) {
        ngx_http_wsgi_set_timer(ctx, next, now);
        return;
    }

    limit = ctx->submitted + ctx->pool->queue_timeout;

    if (now < limit) {
        ngx_http_wsgi_set_timer(ctx, ngx_min(next, limit), now);
        return;
    }

    if (ngx_http_wsgi_process.runtime->withdraw(&ctx->job->job) != NWSGI_OK) {

        /* a thread has it, but has not called the application yet */

        ctx->taken = 1;

        ngx_http_wsgi_set_timer(ctx, next, now);
        return;
    }

    ctx->job->ended = 1;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "wsgi: no thread of pool \"%V\" was free for application "
                  "\"%V\" within %uL ms (queue)",
                  &ctx->pool->name, &ctx->app->name, now - ctx->submitted);

    ngx_http_wsgi_finalize(r, ctx, ngx_http_wsgi_busy(r));
}


static void
ngx_http_wsgi_check_running(ngx_http_wsgi_ctx_t *ctx, uint64_t begun,
    uint64_t now)
{
    uint64_t                   since, deadline;
    ngx_http_wsgi_job_t       *job;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    job = ctx->job;

    wlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_wsgi_module);

    if (wlcf->timeout == 0) {
        ngx_http_wsgi_set_timer(ctx, now + NGX_HTTP_WSGI_NO_LIMIT, now);
        return;
    }

    /* it is the client's turn: send_timeout or client_body_timeout */

    if (__atomic_load_n(&job->unsent, __ATOMIC_SEQ_CST)
        || __atomic_load_n(&job->reading, __ATOMIC_SEQ_CST))
    {
        ngx_http_wsgi_set_timer(ctx, now + wlcf->timeout, now);
        return;
    }

    since = __atomic_load_n(&job->progress, __ATOMIC_ACQUIRE);
    deadline = ngx_max(since, ctx->drained) + wlcf->timeout;

    if (now < deadline) {
        ngx_http_wsgi_set_timer(ctx, deadline, now);
        return;
    }

    ngx_http_wsgi_timed_out(ctx, begun, now);
}


static void
ngx_http_wsgi_timed_out(ngx_http_wsgi_ctx_t *ctx, uint64_t begun, uint64_t now)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, NGX_ETIMEDOUT,
                  "wsgi: application \"%V\" in pool \"%V\" made no progress "
                  "within \"wsgi_timeout\", %uL ms after its call (%s)",
                  &ctx->app->name, &ctx->pool->name, now - begun,
                  ctx->head_sent ? "response" : "application");

    /* before interrupt(), which logs with the context of the request */

    ngx_http_wsgi_set_over(ctx->job);

    ctx->job->timed_out = 1;

    ngx_http_wsgi_process.runtime->interrupt(&ctx->job->job, NWSGI_TIMEOUT);

    ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_GATEWAY_TIME_OUT);
}


static void
ngx_http_wsgi_set_timer(ngx_http_wsgi_ctx_t *ctx, uint64_t deadline,
    uint64_t now)
{
    ngx_add_timer(&ctx->timer, (ngx_msec_t) (deadline - now));
}


ngx_int_t
ngx_http_wsgi_busy(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_http_wsgi_header_unlink(h);
    ngx_str_set(&h->key, "Retry-After");
    ngx_str_set(&h->value, "5");
    h->lowcase_key = (u_char *) "retry-after";

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}
