
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The life of a request.
 *
 *   reading    nginx reads the body; there is no job yet.
 *   submitted  ctx->job is set, the timer runs.  The request belongs to nginx
 *              as ever, the job to both sides (see ngx_http_wsgi_job.c); only
 *              messages and the timer bring the request on.
 *   streaming  ctx->head_sent is set, too: nginx's write event now calls
 *              ngx_http_wsgi_write_handler().
 *   done       ctx->job is NULL again.  nginx may still be sending; what it
 *              sends is freed with the request.
 *
 * An application of wsgi_access comes into it at "submitted", in the access
 * phase, and its request is "done" as soon as it has allowed it: see
 * ngx_http_wsgi_access.c.  Each of the two has a context of its own.
 *
 * Ways out, all through ngx_http_wsgi_detach():
 *
 *   - the last message, a failure, or the timer: ngx_http_wsgi_finalize();
 *   - the client has gone or nginx gives the request up: the cleanup handler.
 */


#include "ngx_http_wsgi_zone.h"


/* connections that are known to be closed on exec(), a power of two */

#define NGX_HTTP_WSGI_MARKED  1024


static void ngx_http_wsgi_mark_connection(ngx_connection_t *c);
static ngx_int_t ngx_http_wsgi_check_process(ngx_http_request_t *r,
    ngx_http_wsgi_app_t *app);
static ngx_uint_t ngx_http_wsgi_is_streamed(ngx_http_request_t *r,
    ngx_http_wsgi_loc_conf_t *wlcf);
static void ngx_http_wsgi_cut(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx);
static ngx_int_t ngx_http_wsgi_reset(ngx_http_request_t *r);
static void ngx_http_wsgi_cleanup(void *data);


ngx_int_t
ngx_http_wsgi_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_wsgi_ctx_t       *ctx;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    ctx = ngx_http_wsgi_create_ctx(r, wlcf->app);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!wlcf->pass_body) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        r->main->count++;
        ngx_http_wsgi_run(r);

        return NGX_DONE;
    }

    if (ngx_http_wsgi_is_streamed(r, wlcf)) {
        ctx->streamed = 1;

        r->main->count++;
        ngx_http_wsgi_run(r);

        return NGX_DONE;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_wsgi_run);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


ngx_http_wsgi_ctx_t *
ngx_http_wsgi_create_ctx(ngx_http_request_t *r, ngx_http_wsgi_app_t *app)
{
    ngx_http_cleanup_t        *hcln;
    ngx_pool_cleanup_t        *cln;
    ngx_http_wsgi_ctx_t       *ctx;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    /* the second outlives the first: it is there when the request is logged */

    hcln = ngx_http_cleanup_add(r, 0);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_wsgi_ctx_t));

    if (hcln == NULL || cln == NULL) {
        return NULL;
    }

    ctx = cln->data;

    ngx_memzero(ctx, sizeof(ngx_http_wsgi_ctx_t));

    ctx->request = r;
    ctx->app = app;
    ctx->pool = wlcf->pool;
    ctx->last_busy = &ctx->busy;
    ctx->last_queued = &ctx->queue;
    ctx->buffering = wlcf->buffering;
    ctx->length = -1;

    hcln->handler = ngx_http_wsgi_cleanup;
    hcln->data = ctx;

    cln->handler = ngx_http_wsgi_free_ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_wsgi_module);

    if (ngx_http_wsgi_check_process(r, app) != NGX_OK) {
        ctx->status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NULL;
    }

    return ctx;
}


/* Can this process run applications of this configuration? */

static ngx_int_t
ngx_http_wsgi_check_process(ngx_http_request_t *r, ngx_http_wsgi_app_t *app)
{
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_wsgi_module);

    if (ngx_http_wsgi_process.runtime == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: this worker cannot run application \"%V\", it has "
                      "no Python", &app->name);
        return NGX_ERROR;
    }

    /* "master_process off": this process goes on with another configuration */

    if (ngx_http_wsgi_process.conf != mcf) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: application \"%V\" is of a configuration that "
                      "was loaded after Python had started, which needs "
                      "\"master_process on\"", &app->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Does the application start before the body has arrived? */

static ngx_uint_t
ngx_http_wsgi_is_streamed(ngx_http_request_t *r,
    ngx_http_wsgi_loc_conf_t *wlcf)
{
    return !wlcf->request_buffering
           && r == r->main
           && r->request_body == NULL
           && !r->request_body_in_file_only
           && (r->headers_in.content_length_n > 0 || r->headers_in.chunked);
}


/* The body is here, in memory or in a file, or is not to be waited for. */

void
ngx_http_wsgi_run(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    ngx_http_wsgi_mark_connection(r->connection);

    ctx->job = ngx_http_wsgi_create_block(r);

    if (ctx->job == NULL) {
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_http_wsgi_submit(ctx);

    if (rc != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, rc);
        return;
    }

    r->connection->log->action = "running application";

    if (ctx->streamed && r->headers_in.expect == NULL) {
        ngx_http_wsgi_want_body(r, ctx);
        return;
    }

    if (ngx_http_wsgi_watch_client(r) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


/*
 * A program that the application starts, and for which Python closes nothing,
 * must not keep the client's connection open.  nginx's accept() leaves that to
 * chance; once for each connection is enough, or nearly once.
 */

static void
ngx_http_wsgi_mark_connection(ngx_connection_t *c)
{
    ngx_atomic_uint_t         *marked;

    static ngx_atomic_uint_t   numbers[NGX_HTTP_WSGI_MARKED];

    marked = &numbers[c->number & (NGX_HTTP_WSGI_MARKED - 1)];

    if (*marked != c->number) {
        *marked = c->number;

        (void) fcntl(c->fd, F_SETFD, FD_CLOEXEC);
    }
}


/*
 * While Python computes nginx's own handler waits for the client to go: it
 * knows all protocols, logs, and finalizes the request with 499.
 */

ngx_int_t
ngx_http_wsgi_watch_client(ngx_http_request_t *r)
{
    ngx_event_t               *rev;
    ngx_http_wsgi_ctx_t       *ctx;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (!ctx->head_sent) {
        r->write_event_handler = ngx_http_request_empty_handler;
    }

    /* the handler that throws the body away does the same */

    if (r->discard_body) {
        return NGX_OK;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (wlcf->ignore_client_abort || r->post_action) {
        r->read_event_handler = ngx_http_block_reading;
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_test_reading;

    rev = r->connection->read;

    /* what came before might be the end */

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
        return NGX_OK;
    }

    return ngx_handle_read_event(rev, 0);
}


void
ngx_http_wsgi_leave(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_detach(ctx);

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    ngx_http_wsgi_forget_body(r, ctx);
}


void
ngx_http_wsgi_finalize(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "finalize wsgi request: %i", rc);

    ngx_http_wsgi_leave(r, ctx);

    r->connection->log->action = "sending to client";

    if (rc < NGX_HTTP_SPECIAL_RESPONSE
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (ctx->head_sent) {
        ngx_http_wsgi_cut(r, ctx);
        return;
    }

    ctx->status = rc;

    ngx_http_finalize_request(r, rc);
}


/* The head is out, the rest will not come, and the client has to notice. */

static void
ngx_http_wsgi_cut(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    ngx_int_t  rc;

    /* all that was to come has: HEAD, auth_request, mirror */

    if (r->header_only) {
        ngx_http_finalize_request(r, NGX_OK);
        return;
    }

    r->keepalive = 0;

    if (r != r->main || ngx_http_wsgi_reset(r) == NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    /* no last chunk, or fewer bytes than promised, or a stream that is reset */

    rc = ngx_http_wsgi_pass_on(ctx);

    if (rc != NGX_ERROR) {
        rc = ngx_http_send_special(r, NGX_HTTP_FLUSH);
    }

    ngx_http_finalize_request(r, rc);
}


/*
 * When the end of the connection is the end of the response, as in HTTP/1.0,
 * only a reset tells that it is not complete.  HTTP/2 and HTTP/3 need no help:
 * nginx resets a stream whose response has not ended.
 */

static ngx_int_t
ngx_http_wsgi_reset(ngx_http_request_t *r)
{
    struct linger  linger;

    if (r->http_version > NGX_HTTP_VERSION_11
        || r->chunked
        || r->headers_out.content_length_n != -1)
    {
        return NGX_DECLINED;
    }

    linger.l_onoff = 1;
    linger.l_linger = 0;

    if (setsockopt(r->connection->fd, SOL_SOCKET, SO_LINGER,
                   (const void *) &linger, sizeof(struct linger)) == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, ngx_socket_errno,
                      "setsockopt(SO_LINGER) failed");
    }

    return NGX_OK;
}


/* nginx ends the request: the client has gone, or all is done. */

static void
ngx_http_wsgi_cleanup(void *data)
{
    ngx_http_wsgi_ctx_t *ctx = data;

    ngx_http_wsgi_job_t       *job;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    job = ctx->job;

    if (job && !job->ended) {
        wlcf = ngx_http_get_module_loc_conf(ctx->request,
                                            ngx_http_wsgi_module);

        if (wlcf->cancel == NGX_HTTP_WSGI_CANCEL_RAISE) {
            ngx_http_wsgi_set_over(job);
            ngx_http_wsgi_process.runtime->interrupt(&job->job, NWSGI_CANCEL);
        }
    }

    ngx_http_wsgi_detach(ctx);
}


void
ngx_http_wsgi_free_ctx(void *data)
{
    ngx_http_wsgi_ctx_t *ctx = data;

    ngx_http_wsgi_free_output(ctx);
    ngx_http_wsgi_flight_answered(ctx);
}
