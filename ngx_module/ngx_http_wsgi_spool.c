
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The temporary file of a response: what its client is too slow to take.
 *
 * It is written from the head of the queue to its end, and passed on from
 * ctx->spool_pos.  When all of it was sent it is empty again, so that
 * wsgi_max_temp_file_size bounds what waits, not what was sent.
 */


#include "ngx_http_wsgi_module.h"


/* what is written before other events get their turn, in bytes */

#define NGX_HTTP_WSGI_SPOOL_SIZE  (1024 * 1024)


static ngx_int_t ngx_http_wsgi_open_spool(ngx_http_wsgi_ctx_t *ctx);
static off_t ngx_http_wsgi_write_spool(ngx_http_wsgi_ctx_t *ctx, off_t room);
static void ngx_http_wsgi_spool_handler(ngx_event_t *ev);


void
ngx_http_wsgi_spool(ngx_http_wsgi_ctx_t *ctx)
{
    off_t  n, room;

    if (ctx->queued <= ctx->job->limit / 2 || ctx->spool_max == 0) {
        return;
    }

    if (ctx->spool == NULL && ngx_http_wsgi_open_spool(ctx) != NGX_OK) {
        goto failed;
    }

    room = ctx->spool_max - ctx->spool->offset;

    if (room <= 0) {
        return;
    }

    n = ngx_http_wsgi_write_spool(ctx, ngx_min(room,
                                               NGX_HTTP_WSGI_SPOOL_SIZE));
    if (n == NGX_ERROR) {
        goto failed;
    }

    if (n == NGX_HTTP_WSGI_SPOOL_SIZE) {
        ngx_post_event(&ctx->spooling, &ngx_posted_next_events);
    }

    return;

failed:

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "wsgi: the response of application \"%V\" cannot be "
                  "buffered to a file, it has to wait for its client",
                  &ctx->app->name);

    ctx->spool_max = 0;
}


static ngx_int_t
ngx_http_wsgi_open_spool(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_temp_file_t           *spool;
    ngx_http_request_t        *r;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    r = ctx->request;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    spool = ngx_pcalloc(r->pool, sizeof(ngx_temp_file_t));
    if (spool == NULL) {
        return NGX_ERROR;
    }

    spool->file.fd = NGX_INVALID_FILE;
    spool->file.log = r->connection->log;
    spool->path = wlcf->temp_path;
    spool->pool = r->pool;

    /* it is unlinked at once, and closed with the pool */

    if (ngx_create_temp_file(&spool->file, spool->path, spool->pool, 0, 0, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* programs that the application starts have no business with it */

    (void) fcntl(spool->file.fd, F_SETFD, FD_CLOEXEC);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "wsgi: the response of application \"%V\" is buffered to a "
                  "temporary file %V", &ctx->app->name, &spool->file.name);

    ctx->spooling.handler = ngx_http_wsgi_spool_handler;
    ctx->spooling.data = ctx;
    ctx->spooling.log = r->connection->log;

    ctx->spool = spool;

    return NGX_OK;
}


/* At most "room" bytes from the head of the queue; what was written. */

static off_t
ngx_http_wsgi_write_spool(ngx_http_wsgi_ctx_t *ctx, off_t room)
{
    off_t                 written;
    size_t                size;
    ngx_buf_t            *b;
    ngx_temp_file_t      *spool;
    ngx_http_wsgi_buf_t  *wb;

    spool = ctx->spool;
    written = 0;

    while (ctx->queue && written < room) {
        wb = ctx->queue;
        b = &wb->buf;

        /* the rest of a large piece stays where it is */

        size = (size_t) ngx_min(room - written, b->last - b->pos);

        if (ngx_write_file(&spool->file, b->pos, size, spool->offset)
            == NGX_ERROR)
        {
            return NGX_ERROR;
        }

        b->pos += size;
        spool->offset += size;
        written += size;

        if (b->pos != b->last) {
            break;
        }

        ctx->queued -= wb->message->credit;
        ctx->queue = wb->next;

        ngx_http_wsgi_free_buf(ctx, wb);
    }

    if (ctx->queue == NULL) {
        ctx->last_queued = &ctx->queue;
    }

    return written;
}


static void
ngx_http_wsgi_spool_handler(ngx_event_t *ev)
{
    ngx_http_wsgi_ctx_t *ctx = ev->data;

    ngx_connection_t  *c;

    if (ngx_http_wsgi_is_lost(ctx)) {
        ngx_http_wsgi_detach(ctx);
        return;
    }

    c = ctx->request->connection;

    ngx_http_set_log_request(c->log, ctx->request);

    ngx_http_wsgi_write_handler(ctx->request);
    ngx_http_run_posted_requests(c);
}


ngx_int_t
ngx_http_wsgi_pass_spool(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_buf_t            *b;
    ngx_temp_file_t      *spool;
    ngx_http_wsgi_buf_t  *wb;

    spool = ctx->spool;

    if (spool == NULL || ctx->spool_pos == spool->offset) {
        return NGX_OK;
    }

    wb = ngx_http_wsgi_get_buf(ctx);
    if (wb == NULL) {
        return NGX_ERROR;
    }

    b = &wb->buf;

    b->file = &spool->file;
    b->file_pos = ctx->spool_pos;
    b->file_last = spool->offset;
    b->in_file = 1;
    b->temp_file = 1;
    b->flush = 1;

    ctx->spool_pos = spool->offset;

    *ctx->last_busy = wb;
    ctx->last_busy = &wb->next;

    return NGX_OK;
}


void
ngx_http_wsgi_empty_spool(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_temp_file_t  *spool;

    spool = ctx->spool;

    if (spool == NULL || spool->offset == 0
        || ctx->spool_pos != spool->offset)
    {
        return;
    }

    /* sendfile() may have left these pages to the socket: write to new ones */

    if (ftruncate(spool->file.fd, 0) == -1) {
        ngx_log_error(NGX_LOG_CRIT, spool->file.log, ngx_errno,
                      "ftruncate() \"%V\" failed", &spool->file.name);
        return;
    }

    ctx->spool_pos = 0;
    spool->offset = 0;
}


void
ngx_http_wsgi_stop_spool(ngx_http_wsgi_ctx_t *ctx)
{
    if (ctx->spooling.posted) {
        ngx_delete_posted_event(&ctx->spooling);
    }
}
