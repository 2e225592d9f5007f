
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The body of a response on its way from messages to nginx's filters.
 *
 * What an application has sent and the client has not got is in three places,
 * and the client gets it in this order:
 *
 *   busy   pieces that nginx's filters have.  They get more when they have got
 *          rid of all of that;
 *   spool  a range of a temporary file, see ngx_http_wsgi_spool.c;
 *   queue  pieces in memory.
 *
 * "wsgi_buffering on": when half of wsgi_buffers is queued, the queue goes to
 * the file, so that the application never waits for its client; but when the
 * file is full, or cannot be written, it does.  "off": it always does.
 *
 * ngx_event_pipe() has the same three places, and more purposes.
 */


#include "ngx_http_wsgi_module.h"


static ngx_int_t ngx_http_wsgi_enqueue(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_fill_buf(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_pump(ngx_http_wsgi_ctx_t *ctx);
static void ngx_http_wsgi_reclaim(ngx_http_wsgi_ctx_t *ctx);
static void ngx_http_wsgi_settle(ngx_http_wsgi_ctx_t *ctx);


void
ngx_http_wsgi_init_output(ngx_http_wsgi_ctx_t *ctx)
{
    size_t                     limit;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_wsgi_module);

    limit = ctx->buffering ? wlcf->bufs.num * wlcf->bufs.size
                           : wlcf->buffer_size;

    ctx->spool_max = ctx->buffering ? wlcf->max_temp_file_size : 0;

    __atomic_store_n(&ctx->job->limit, limit, __ATOMIC_RELAXED);
}


ngx_int_t
ngx_http_wsgi_output(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t            rc;
    ngx_uint_t           flags, special;
    ngx_http_request_t  *r;

    r = ctx->request;
    flags = m->flags;
    special = 0;

    if (m->body.len == 0 || r->header_only) {

        ngx_http_wsgi_credit(ctx->job, m->credit);
        ngx_http_wsgi_free_message(m);

        if (r->header_only) {
            return NGX_OK;
        }

        if (flags & NWSGI_SEND_LAST) {
            special = NGX_HTTP_LAST;

        } else if (flags & NWSGI_SEND_HEAD) {
            special = NGX_HTTP_FLUSH;
        }

    } else if (ngx_http_wsgi_enqueue(ctx, m) != NGX_OK) {
        return NGX_ERROR;
    }

    /* after the last message, what is left is nginx's to send */

    rc = (flags & NWSGI_SEND_LAST) ? ngx_http_wsgi_pass_on(ctx)
                                   : ngx_http_wsgi_pump(ctx);

    if (rc == NGX_ERROR || special == 0) {
        return rc;
    }

    return ngx_http_wsgi_filtered(ctx, ngx_http_send_special(r, special));
}


ngx_int_t
ngx_http_wsgi_continue_output(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    if (ctx->busy || r->buffered || r->postponed
        || (r == r->main && c->buffered))
    {
        if (ngx_http_wsgi_filtered(ctx, ngx_http_output_filter(r, NULL))
            == NGX_ERROR)
        {
            return NGX_ERROR;
        }

        ngx_http_wsgi_reclaim(ctx);
    }

    return ngx_http_wsgi_pump(ctx);
}


/* The message is the queue's, or freed, when this returns. */

static ngx_int_t
ngx_http_wsgi_enqueue(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_http_wsgi_buf_t  *wb;

    wb = ngx_http_wsgi_get_buf(ctx);

    if (wb == NULL
        || ngx_http_wsgi_fill_buf(ctx->request, &wb->buf, m) != NGX_OK)
    {
        ngx_http_wsgi_free_message(m);
        return NGX_ERROR;
    }

    wb->message = m;

    *ctx->last_queued = wb;
    ctx->last_queued = &wb->next;

    ctx->queued += m->credit;
    ctx->owed += m->credit;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_fill_buf(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_http_wsgi_message_t *m)
{
    if (m->flags & NWSGI_SEND_LAST) {
        b->last_in_chain = 1;
        b->last_buf = (r == r->main && !r->post_action);

    } else {
        b->flush = 1;
    }

    if (m->flags & NWSGI_SEND_FILE) {
        return ngx_http_wsgi_set_file(r, b, m);
    }

    b->start = m->body.data;
    b->pos = b->start;
    b->last = b->start + m->body.len;
    b->end = b->last;

    /* filters may change what is ours, but not what the application lent */

    if (m->owner) {
        b->memory = 1;

    } else {
        b->temporary = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_pump(ngx_http_wsgi_ctx_t *ctx)
{
    if (ctx->busy == NULL && ngx_http_wsgi_pass_on(ctx) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_wsgi_spool(ctx);
    ngx_http_wsgi_settle(ctx);

    return NGX_OK;
}


ngx_int_t
ngx_http_wsgi_pass_on(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_chain_t           *out, *cl, *next, **last;
    ngx_http_request_t    *r;
    ngx_http_wsgi_buf_t   *wb, **first;

    r = ctx->request;
    first = ctx->last_busy;

    if (ngx_http_wsgi_pass_spool(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->queue) {
        *ctx->last_busy = ctx->queue;
        ctx->last_busy = ctx->last_queued;
        ctx->busy_size += ctx->queued;

        ctx->queue = NULL;
        ctx->last_queued = &ctx->queue;
        ctx->queued = 0;
    }

    out = NULL;
    last = &out;

    for (wb = *first; wb; wb = wb->next) {
        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = &wb->buf;
        cl->next = NULL;

        *last = cl;
        last = &cl->next;
    }

    if (out == NULL) {
        return NGX_OK;
    }

    rc = ngx_http_wsgi_filtered(ctx, ngx_http_output_filter(r, out));

    for (cl = out; cl; cl = next) {
        next = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    ngx_http_wsgi_reclaim(ctx);

    return rc;
}


ngx_http_wsgi_buf_t *
ngx_http_wsgi_get_buf(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_buf_t  *wb;

    wb = ctx->free;

    if (wb) {
        ctx->free = wb->next;

    } else {
        wb = ngx_palloc(ctx->request->pool, sizeof(ngx_http_wsgi_buf_t));
        if (wb == NULL) {
            return NULL;
        }
    }

    ngx_memzero(wb, sizeof(ngx_http_wsgi_buf_t));

    wb->buf.tag = (ngx_buf_tag_t) &ngx_http_wsgi_module;

    return wb;
}


/* Frees what nginx is rid of. */

static void
ngx_http_wsgi_reclaim(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_buf_t            *b;
    ngx_http_wsgi_buf_t  *wb;

    while (ctx->busy) {
        wb = ctx->busy;
        b = &wb->buf;

        if (ngx_buf_size(b) != 0) {
            return;
        }

        if (wb->message) {
            ctx->busy_size -= wb->message->credit;
        }

        ctx->busy = wb->next;
        ngx_http_wsgi_free_buf(ctx, wb);
    }

    ctx->last_busy = &ctx->busy;

    ngx_http_wsgi_empty_spool(ctx);
}


void
ngx_http_wsgi_free_buf(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_buf_t *wb)
{
    if (wb->message) {
        ngx_http_wsgi_free_message(wb->message);
    }

    wb->next = ctx->free;
    ctx->free = wb;
}


/*
 * Gives credit back: for what the client has got if the application has to
 * wait for it, else for all that has a place.
 */

static void
ngx_http_wsgi_settle(ngx_http_wsgi_ctx_t *ctx)
{
    size_t  owed;

    if (!ctx->buffering) {
        owed = ctx->busy_size + ctx->queued;

    } else {
        owed = (ctx->queued > ctx->job->limit / 2) ? ctx->queued : 0;
    }

    if (owed >= ctx->owed) {
        return;
    }

    ngx_http_wsgi_credit(ctx->job, ctx->owed - owed);

    ctx->owed = owed;

    if (owed == 0) {
        ctx->drained = ngx_http_wsgi_now();
    }
}


void
ngx_http_wsgi_free_output(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_buf_t  *wb;

    *ctx->last_busy = ctx->queue;

    for (wb = ctx->busy; wb; wb = wb->next) {
        if (wb->message) {
            ngx_http_wsgi_free_message(wb->message);
        }
    }

    ctx->busy = NULL;
    ctx->queue = NULL;
}
