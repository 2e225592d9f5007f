
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Messages of the application become nginx's response: the head here, the body
 * in ngx_http_wsgi_output.c.
 */


#include "ngx_http_wsgi_module.h"


static ngx_int_t ngx_http_wsgi_send_head(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_check_length(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_await_client(ngx_http_wsgi_ctx_t *ctx);


void
ngx_http_wsgi_send(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t            rc;
    ngx_uint_t           last;
    ngx_http_request_t  *r;

    r = ctx->request;
    last = m->flags & NWSGI_SEND_LAST;

    if (m->flags & NWSGI_SEND_HEAD) {
        rc = ngx_http_wsgi_copy_fields(r, m, &ctx->fields);

        if (rc == NGX_OK) {
            ctx->nfields = m->nfields;

            if (ctx->access && ngx_http_wsgi_decide(ctx, m) == NGX_OK) {
                return;
            }

            rc = ngx_http_wsgi_send_head(ctx, m);
        }

        if (rc == NGX_DONE) {

            /* the request is on another way, if it is there at all */

            ngx_http_wsgi_free_message(m);
            return;
        }

        if (rc == NGX_ERROR || rc > NGX_OK) {
            ngx_http_wsgi_free_message(m);
            ngx_http_wsgi_finalize(r, ctx, rc);
            return;
        }
    }

    if (!ctx->head_sent || ngx_http_wsgi_check_length(ctx, m) != NGX_OK) {
        ngx_http_wsgi_free_message(m);
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_http_wsgi_output(ctx, m);

    if (rc == NGX_ERROR || last) {
        ngx_http_wsgi_finalize(r, ctx, rc);
        return;
    }

    if (ngx_http_wsgi_await_client(ctx) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
    }
}


static ngx_int_t
ngx_http_wsgi_send_head(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;

    /* a client takes the next response for the one that 1xx announces */

    if (ctx->head_sent || m->status < NGX_HTTP_OK || m->status > 999) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "wsgi: application \"%V\" sent a head with status %uD "
                      "that cannot be passed on", &ctx->app->name, m->status);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_wsgi_divert(ctx, m);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_wsgi_set_head(ctx, m) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_wsgi_allow_ranges(r, m);

    if (ctx->access) {
        ngx_http_wsgi_refuse_body(r);
    }

    /* the head may have changed ctx->buffering */

    ngx_http_wsgi_init_output(ctx);

    c->log->action = "sending to client";

    ctx->status = m->status;

    ngx_http_wsgi_leave_body(r, ctx, m->flags & NWSGI_SEND_LAST);

    (void) ngx_http_wsgi_drain_handler(r);

    rc = ngx_http_wsgi_filtered(ctx, ngx_http_send_header(r));

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    ctx->head_sent = 1;

    if (m->flags & NWSGI_SEND_LAST) {
        return NGX_OK;
    }

    r->write_event_handler = ngx_http_wsgi_write_handler;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_wsgi_filtered(ngx_http_wsgi_ctx_t *ctx, ngx_int_t rc)
{
    if (rc == NGX_ERROR || !ngx_http_wsgi_is_lost(ctx)) {
        return rc;
    }

    ctx->replaced = 1;

    return NGX_ERROR;
}


/* A connection that is kept alive must get as many bytes as were promised. */

static ngx_int_t
ngx_http_wsgi_check_length(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (m->flags & NWSGI_SEND_HEAD) {
        ctx->length = r->header_only ? -1 : m->content_length;
    }

    ctx->sent += m->body.len;

    if (ctx->length == -1
        || ctx->sent == ctx->length
        || (ctx->sent < ctx->length && !(m->flags & NWSGI_SEND_LAST)))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "wsgi: application \"%V\" sent %O bytes, but promised %O",
                  &ctx->app->name, ctx->sent, ctx->length);

    return NGX_ERROR;
}


/* nginx's write event: the client takes more, or does not for too long. */

void
ngx_http_wsgi_write_handler(ngx_http_request_t *r)
{
    ngx_event_t          *wev;
    ngx_connection_t     *c;
    ngx_http_wsgi_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (ctx == NULL || ctx->job == NULL) {
        return;
    }

    if (wev->timedout) {
        c->timedout = 1;
        ngx_connection_error(c, NGX_ETIMEDOUT, "client timed out");

        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    /* limit_rate makes a pause, or another thread reads a file for nginx */

    if (!wev->delayed && !r->aio
        && ngx_http_wsgi_continue_output(ctx) == NGX_ERROR)
    {
        ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
        return;
    }

    if (ngx_http_wsgi_await_client(ctx) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
    }
}


/* The response goes on: send_timeout runs while the client has to take data. */

static ngx_int_t
ngx_http_wsgi_await_client(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    wev = r->connection->write;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->connection->data == r
        && ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (wev->delayed) {
        return NGX_OK;
    }

    /* between two writes to the client, however many messages come meanwhile */

    if (wev->active && !wev->ready) {

        if (!wev->timer_set || ctx->client_sent != r->connection->sent) {
            ctx->client_sent = r->connection->sent;

            ngx_add_timer(wev, clcf->send_timeout);
        }

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    return NGX_OK;
}
