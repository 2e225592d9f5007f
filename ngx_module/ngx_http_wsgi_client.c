
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The client of a request that waits, in a queue or for the application.  It
 * may go at any moment, and then must not keep its place; so there is a read
 * handler for each state of its body that notices:
 *
 *   being read      nginx's own, or ngx_http_wsgi_read_handler()
 *   thrown away     ngx_http_wsgi_discard_handler()
 *   paused, read    ngx_http_test_reading(): it knows all protocols, logs, and
 *                   finalizes the request with 499
 */


#include "ngx_http_wsgi_module.h"


/* connections that are known to be closed on exec(), a power of two */

#define NGX_HTTP_WSGI_MARKED  1024


static void ngx_http_wsgi_discard_begin(ngx_http_request_t *r);
static void ngx_http_wsgi_discard_handler(ngx_http_request_t *r);


/*
 * A program that the application starts, and for which Python closes nothing,
 * must not keep the client's connection open.  nginx's accept() leaves that to
 * chance; once for each connection is enough, or nearly once.
 */

void
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

    if (r->discard_body) {
        r->read_event_handler = ngx_http_wsgi_discard_handler;

        if (ctx->head_sent) {
            return NGX_OK;
        }

        r->write_event_handler = ngx_http_wsgi_discard_begin;

        return ngx_http_post_request(r, NULL);
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (wlcf->ignore_client_abort || r->post_action) {
        r->read_event_handler = ngx_http_block_reading;
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_test_reading;

    rev = r->connection->read;

    /*
     * What came before might be the end, and who has read the body might have
     * read it, too: no event will tell of it again.
     */

    if (rev->eof || rev->error) {
        rev->pending_eof = 1;
    }

    if (rev->ready || rev->pending_eof) {
        ngx_post_event(rev, &ngx_posted_events);
        return NGX_OK;
    }

    return ngx_handle_read_event(rev, 0);
}


void
ngx_http_wsgi_unwatch_client(ngx_http_request_t *r)
{
    r->read_event_handler = r->discard_body
                                ? ngx_http_discarded_request_body_handler
                                : ngx_http_block_reading;
}


/*
 * When a content handler says that it will go on later, and a body is being
 * thrown away, nginx believes that the response is out: it takes the handler
 * back, and gives the client lingering_timeout to send the rest.
 */

static void
ngx_http_wsgi_discard_begin(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    r->write_event_handler = ngx_http_request_empty_handler;

    if (!r->discard_body) {
        return;
    }

    r->read_event_handler = ngx_http_wsgi_discard_handler;
    r->lingering_time = 0;

    rev = r->connection->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }
}


/*
 * nginx's own handler takes the end of the connection for the end of the body,
 * and then nobody looks any more.
 */

static void
ngx_http_wsgi_discard_handler(ngx_http_request_t *r)
{
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    ngx_http_discarded_request_body_handler(r);

    /* it may have finalized the request, which is freed later */

    if (ctx == NULL || ctx->job == NULL || r->discard_body) {
        return;
    }

    if (ngx_http_wsgi_watch_client(r) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}
