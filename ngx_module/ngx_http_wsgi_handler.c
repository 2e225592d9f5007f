
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


static ngx_int_t ngx_http_wsgi_check_process(ngx_http_request_t *r,
    ngx_http_wsgi_app_t *app);
static ngx_uint_t ngx_http_wsgi_is_streamed(ngx_http_request_t *r,
    ngx_http_wsgi_loc_conf_t *wlcf);
static void ngx_http_wsgi_cut(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx);
static void ngx_http_wsgi_end(ngx_http_wsgi_ctx_t *ctx, ngx_int_t rc);
static void ngx_http_wsgi_cleanup(void *data);
static void ngx_http_wsgi_free_ctx(void *data);


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


/*
 * Does the application start before the body has arrived?  Not if somebody has
 * read of it before, or throws it away: a request gets here by error_page and
 * X-Accel-Redirect, too.  Nor if all of it is here, over HTTP/2: nginx would
 * buffer it all the same, perhaps in a file, and with a read handler that is
 * its own.
 */

static ngx_uint_t
ngx_http_wsgi_is_streamed(ngx_http_request_t *r,
    ngx_http_wsgi_loc_conf_t *wlcf)
{
#if (NGX_HTTP_V2)

    if (r->stream && r->stream->in_closed) {
        return 0;
    }

#endif

    return !wlcf->request_buffering
           && r == r->main
           && r->request_body == NULL
           && !r->discard_body
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

    /* nginx says "100 Continue" in HTTP/1.1 only */

    if (ctx->streamed
        && (r->headers_in.expect == NULL
            || r->http_version > NGX_HTTP_VERSION_11))
    {
        ngx_http_wsgi_want_body(r, ctx);
        return;
    }

    if (ngx_http_wsgi_watch_client(r) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


void
ngx_http_wsgi_leave(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_detach(ctx);
    ngx_http_wsgi_unwatch_client(r);
    ngx_http_wsgi_forget_body(r, ctx);
}


void
ngx_http_wsgi_finalize(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "finalize wsgi request: %i", rc);

    /* the body, the handlers and the log's action are somebody else's, then */

    if (ngx_http_wsgi_is_lost(ctx)) {
        ngx_http_wsgi_detach(ctx);
        ngx_http_wsgi_end(ctx, rc);
        return;
    }

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


/*
 * The head is out, the rest will not come.  The client gets what there is, and
 * has to notice: by a last chunk that is missing, by fewer bytes than promised,
 * by a stream that nginx resets, or by TLS that ends without close_notify.
 * Plain HTTP/1.0 without a length has nothing to say it with (RFC 9112, 8).
 */

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

    if (r != r->main) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

#if (NGX_HTTP_SSL)

    if (r->connection->ssl && r->http_version <= NGX_HTTP_VERSION_11) {
        r->connection->ssl->no_send_shutdown = 1;
    }

#endif

    rc = ngx_http_wsgi_pass_on(ctx);

    if (rc != NGX_ERROR) {
        rc = ngx_http_wsgi_filtered(ctx, ngx_http_send_special(r,
                                                            NGX_HTTP_FLUSH));
    }

    ngx_http_wsgi_end(ctx, rc);
}


/* A filter's own response, in place of the application's, is still to send. */

static void
ngx_http_wsgi_end(ngx_http_wsgi_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_finalize_request(ctx->request, ctx->replaced ? NGX_AGAIN : rc);
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


static void
ngx_http_wsgi_free_ctx(void *data)
{
    ngx_http_wsgi_ctx_t *ctx = data;

    ngx_http_wsgi_free_output(ctx);
    ngx_http_wsgi_flight_answered(ctx);
}


ngx_http_wsgi_ctx_t *
ngx_http_wsgi_next_ctx(ngx_pool_cleanup_t **cln)
{
    ngx_pool_cleanup_t  *found;

    while (*cln) {
        found = *cln;
        *cln = found->next;

        if (found->handler == ngx_http_wsgi_free_ctx) {
            return found->data;
        }
    }

    return NULL;
}
