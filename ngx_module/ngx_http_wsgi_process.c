
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * One worker: it starts the runtime, is woken by it, and ends it.
 */


#include "ngx_http_wsgi_zone.h"


/* messages that are handled before other events get their turn */

#define NGX_HTTP_WSGI_BATCH  256

#define NGX_HTTP_WSGI_STOP_WAIT  50

/* nginx's master sends SIGKILL 3 seconds after SIGTERM */

#define NGX_HTTP_WSGI_STOP_FAST  2000


static ngx_int_t ngx_http_wsgi_start(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);
static ngx_int_t ngx_http_wsgi_add_event(ngx_cycle_t *cycle, ngx_fd_t fd);
static void ngx_http_wsgi_wake_handler(ngx_event_t *ev);
static void ngx_http_wsgi_posted_handler(ngx_event_t *ev);
static void ngx_http_wsgi_receive(void);
static void ngx_http_wsgi_dispatch(ngx_http_wsgi_message_t *m);
static void ngx_http_wsgi_dispatch_job(ngx_http_wsgi_message_t *m);
static void ngx_http_wsgi_drop(ngx_http_wsgi_message_t *m);
static void ngx_http_wsgi_ended_early(ngx_http_wsgi_ctx_t *ctx, int32_t result);
static void ngx_http_wsgi_abandon_jobs(void);
static void ngx_http_wsgi_drain_log(void);
static void ngx_http_wsgi_quick_exit(void);


ngx_http_wsgi_process_t  ngx_http_wsgi_process;


/* taken from the mailbox, not handled yet */

static ngx_http_wsgi_message_t   *ngx_http_wsgi_pending;
static ngx_http_wsgi_message_t  **ngx_http_wsgi_last_pending =
                                                       &ngx_http_wsgi_pending;


/* Never NGX_ERROR: nginx would not start another worker in place of this. */

ngx_int_t
ngx_http_wsgi_init_process(ngx_cycle_t *cycle)
{
    ngx_http_wsgi_main_conf_t  *mcf;

    /* cache managers run this, too */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wsgi_module);

    if (mcf == NULL || mcf->apps.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_wsgi_init_hash(cycle);
    ngx_http_wsgi_enter_zone(cycle, mcf);

    ngx_queue_init(&ngx_http_wsgi_process.jobs);

    ngx_http_wsgi_process.posted.handler = ngx_http_wsgi_posted_handler;
    ngx_http_wsgi_process.posted.log = cycle->log;

    if (ngx_http_wsgi_start(cycle, mcf) != NGX_OK) {
        ngx_http_wsgi_process.runtime = NULL;

        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "this worker cannot run Python, locations with "
                      "\"wsgi_pass\" or \"wsgi_access\" answer 500");
    }

    if (mcf->script_reloading && ngx_process == NGX_PROCESS_SINGLE) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "\"wsgi_script_reloading\" is ignored: there is no "
                      "master process to replace this one");
    }

    ngx_http_wsgi_life_init(cycle, mcf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_start(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    int32_t           rc;
    ngx_fd_t          fd;
    ngx_pool_t       *pool;
    nwsgi_config_t    conf;
    struct sigaction  sa;

    fd = ngx_http_wsgi_init_mailbox(cycle);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    ngx_http_wsgi_init_fork(cycle);

    if (ngx_http_wsgi_add_event(cycle, fd) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * nginx's handler waits for any child, also in workers, which have none:
     * it would take the exit status of the programs an application starts
     */

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_handler = SIG_DFL;
    sigemptyset(&sa.sa_mask);

    if (sigaction(SIGCHLD, &sa, NULL) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "sigaction(SIGCHLD) failed");
        return NGX_ERROR;
    }

    if (ngx_http_wsgi_check_limits(cycle, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_wsgi_process.runtime = ngx_http_wsgi_load_library(cycle,
                                                         &ngx_http_wsgi_host);
    if (ngx_http_wsgi_process.runtime == NULL) {
        return NGX_ERROR;
    }

    ngx_http_wsgi_init_exit();

    pool = ngx_create_pool(4096, cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NWSGI_ERROR;

    if (ngx_http_wsgi_configure(cycle, mcf, &conf, pool) == NGX_OK) {
        rc = ngx_http_wsgi_process.runtime->start(&conf);
    }

    ngx_destroy_pool(pool);

    ngx_http_wsgi_process.conf = mcf;

    return rc == NWSGI_OK ? NGX_OK : NGX_ERROR;
}


/*
 * As ngx_add_channel_event() does, so that nginx does not miss this connection
 * when it exits, but edge-triggered: then nobody has to read the eventfd.
 */

static ngx_int_t
ngx_http_wsgi_add_event(ngx_cycle_t *cycle, ngx_fd_t fd)
{
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->pool = cycle->pool;

    c->read->log = cycle->log;
    c->write->log = cycle->log;

    c->read->channel = 1;
    c->write->channel = 1;

    c->read->handler = ngx_http_wsgi_wake_handler;

    flags = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? NGX_CLEAR_EVENT : 0;

    if (ngx_add_event(c->read, NGX_READ_EVENT, flags) == NGX_ERROR) {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_wsgi_post(ngx_uint_t kick)
{
    if (kick) {
        ngx_http_wsgi_process.kick = 1;
    }

    if (!ngx_http_wsgi_process.posted.posted) {
        ngx_post_event(&ngx_http_wsgi_process.posted, &ngx_posted_events);

        ngx_http_wsgi_stay_awake();
    }
}


static void
ngx_http_wsgi_wake_handler(ngx_event_t *ev)
{
    uint64_t           count;
    ngx_connection_t  *c;

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {
        c = ev->data;

        if (read(c->fd, &count, sizeof(uint64_t)) == -1
            && ngx_errno != NGX_EAGAIN)
        {
            ngx_log_error(NGX_LOG_ALERT, ev->log, ngx_errno,
                          "read() from eventfd failed");
        }
    }

    /* with the submissions of this turn, if any */

    ngx_http_wsgi_post(0);
}


static void
ngx_http_wsgi_posted_handler(ngx_event_t *ev)
{
    if (ngx_http_wsgi_process.kick) {
        ngx_http_wsgi_process.kick = 0;
        ngx_http_wsgi_process.runtime->kick();
    }

    ngx_http_wsgi_receive();
}


static void
ngx_http_wsgi_receive(void)
{
    ngx_uint_t                n;
    ngx_http_wsgi_message_t  *m;

    *ngx_http_wsgi_last_pending = ngx_http_wsgi_take_messages();

    for (n = 0; ngx_http_wsgi_pending; n++) {

        if (n == NGX_HTTP_WSGI_BATCH) {

            for (m = ngx_http_wsgi_pending; m->next; m = m->next) {
                /* void */
            }

            ngx_http_wsgi_last_pending = &m->next;

            ngx_post_event(&ngx_http_wsgi_process.posted,
                           &ngx_posted_next_events);
            return;
        }

        m = ngx_http_wsgi_pending;
        ngx_http_wsgi_pending = m->next;

        ngx_http_wsgi_dispatch(m);
    }

    ngx_http_wsgi_last_pending = &ngx_http_wsgi_pending;
}


static void
ngx_http_wsgi_dispatch(ngx_http_wsgi_message_t *m)
{
    switch (m->type) {

    case NGX_HTTP_WSGI_MESSAGE_LOG:
        ngx_http_wsgi_write_log(m);
        ngx_http_wsgi_free_message(m);
        break;

    case NGX_HTTP_WSGI_MESSAGE_READY:
        ngx_http_wsgi_life_imported(m->result);
        ngx_http_wsgi_recycle_start((ngx_cycle_t *) ngx_cycle,
                                    ngx_http_wsgi_process.conf);
        break;

    case NGX_HTTP_WSGI_MESSAGE_DRAIN:
        ngx_http_wsgi_drain((char *) m->body.data, m->flags);
        break;

    case NGX_HTTP_WSGI_MESSAGE_HOLD:
        ngx_http_wsgi_hold();
        break;

    default:
        ngx_http_wsgi_dispatch_job(m);
        break;
    }
}


static void
ngx_http_wsgi_dispatch_job(ngx_http_wsgi_message_t *m)
{
    ngx_connection_t     *c;
    ngx_http_wsgi_ctx_t  *ctx;
    ngx_http_wsgi_job_t  *job;

    job = m->job;
    ctx = job->ctx;

    if (ctx == NULL) {
        ngx_http_wsgi_drop(m);
        return;
    }

    if (ngx_http_wsgi_is_lost(ctx)) {
        ngx_http_wsgi_detach(ctx);
        ngx_http_wsgi_drop(m);
        return;
    }

    c = ctx->request->connection;
    ngx_http_set_log_request(c->log, ctx->request);

    switch (m->type) {

    case NGX_HTTP_WSGI_MESSAGE_SEND:
        ngx_http_wsgi_send(ctx, m);
        break;

    case NGX_HTTP_WSGI_MESSAGE_BODY:
        ngx_http_wsgi_body_asked(job);
        break;

    case NGX_HTTP_WSGI_MESSAGE_HINTS:
        ngx_http_wsgi_send_hints(ctx, m);
        break;

    default: /* NGX_HTTP_WSGI_MESSAGE_END */
        ngx_http_wsgi_job_ended(job);
        ngx_http_wsgi_ended_early(ctx, m->result);
        break;
    }

    ngx_http_run_posted_requests(c);
}


/* The request has been let go. */

static void
ngx_http_wsgi_drop(ngx_http_wsgi_message_t *m)
{
    switch (m->type) {

    case NGX_HTTP_WSGI_MESSAGE_SEND:
    case NGX_HTTP_WSGI_MESSAGE_HINTS:
        ngx_http_wsgi_free_message(m);
        break;

    case NGX_HTTP_WSGI_MESSAGE_END:

        /* frees the job, and so this message */

        ngx_http_wsgi_job_ended(m->job);
        break;

    default: /* NGX_HTTP_WSGI_MESSAGE_BODY, which is the job's */
        break;
    }
}


/* The job has ended, but not with its last message. */

static void
ngx_http_wsgi_ended_early(ngx_http_wsgi_ctx_t *ctx, int32_t result)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->job->starved) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, ctx->job->starved,
                      "wsgi: no memory, or no descriptor, for what application "
                      "\"%V\" sent (response)", &ctx->app->name);
    }

    ngx_http_wsgi_finalize(r, ctx,
                           result == NWSGI_BUSY
                               ? ngx_http_wsgi_busy(r)
                               : NGX_HTTP_INTERNAL_SERVER_ERROR);
}


void
ngx_http_wsgi_exit_process(ngx_cycle_t *cycle)
{
    int32_t   rc;
    uint32_t  limit;

    if (ngx_http_wsgi_process.runtime == NULL) {
        ngx_http_wsgi_leave_zone();
        return;
    }

    limit = ngx_terminate ? NGX_HTTP_WSGI_STOP_FAST : 0;

    ngx_http_wsgi_abandon_jobs();

    do {
        rc = ngx_http_wsgi_process.runtime->stop(NGX_HTTP_WSGI_STOP_WAIT,
                                                 limit);

        ngx_time_update();
        ngx_http_wsgi_drain_log();

    } while (rc == NWSGI_AGAIN);

    ngx_http_wsgi_leave_zone();

    if (rc == NWSGI_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "wsgi: threads of applications are still running, "
                  "exiting without them");

    /*
     * Other modules still have to end, logs have to be flushed.  What must not
     * run with those threads alive is what exit() calls: the handler that is
     * registered last is called first.
     */

    if (atexit(ngx_http_wsgi_quick_exit) != 0) {
        ngx_http_wsgi_quick_exit();
    }
}


/* On a fast shutdown there are requests left, which nobody will finish. */

static void
ngx_http_wsgi_abandon_jobs(void)
{
    ngx_queue_t          *q, *next;
    ngx_http_wsgi_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_wsgi_process.jobs);
         q != ngx_queue_sentinel(&ngx_http_wsgi_process.jobs);
         q = next)
    {
        next = ngx_queue_next(q);
        job = ngx_queue_data(q, ngx_http_wsgi_job_t, queue);

        if (job->ctx) {
            ngx_http_wsgi_detach(job->ctx);
        }
    }
}


static void
ngx_http_wsgi_drain_log(void)
{
    ngx_http_wsgi_message_t  *m;

    *ngx_http_wsgi_last_pending = ngx_http_wsgi_take_messages();

    while (ngx_http_wsgi_pending) {
        m = ngx_http_wsgi_pending;
        ngx_http_wsgi_pending = m->next;

        ngx_http_wsgi_dispatch(m);
    }

    ngx_http_wsgi_last_pending = &ngx_http_wsgi_pending;
}


static void
ngx_http_wsgi_quick_exit(void)
{
    _exit(0);
}
