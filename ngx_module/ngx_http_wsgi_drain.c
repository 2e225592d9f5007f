
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A worker drains.  It leaves new connections to others.  It ends each
 * keep-alive connection by "Connection: close" in its next response, and leaves
 * idle ones to their clients for a while: a request that is on its way when the
 * server closes is lost, and a front may not send a POST again.  Then it lets
 * nginx's own graceful shutdown go on.  worker_shutdown_timeout bounds it all.
 *
 * Clients of HTTP/2 and HTTP/3 are told at once, by GOAWAY: it names the last
 * request that will be answered, so that they know which ones to send again.
 *
 * The same when all workers quit, for a shorter while: a front may have other
 * servers, or another binary has taken over the listening sockets.
 *
 * If there are no others, it goes on accepting connections, looks for a moment
 * at which nothing runs that takes long, and quits.  What connects until its
 * replacement is ready waits in the listening sockets, which the master keeps
 * open.
 */


#include "ngx_http_wsgi_life.h"


/* for clients, and fronts, to use or to close what is idle */

#define NGX_HTTP_WSGI_DRAIN_IDLE  10000
#define NGX_HTTP_WSGI_DRAIN_QUIT  2000

/* what is long when there are no others */

#define NGX_HTTP_WSGI_DRAIN_LONG  100


static void ngx_http_wsgi_drain_goaway(ngx_cycle_t *cycle);
static void ngx_http_wsgi_drain_stream(ngx_http_request_t *r);
static ngx_uint_t ngx_http_wsgi_drain_is_client(ngx_connection_t *c);
static ngx_uint_t ngx_http_wsgi_drain_alone(ngx_http_wsgi_life_t *life);


ngx_int_t
ngx_http_wsgi_drain_add_handler(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_wsgi_drain_handler;

    return NGX_OK;
}


ngx_int_t
ngx_http_wsgi_drain_handler(ngx_http_request_t *r)
{
    ngx_http_wsgi_accept_request(&ngx_http_wsgi_life);

    if (ngx_http_wsgi_life.draining || ngx_http_wsgi_life.held) {
        r->keepalive = 0;

        ngx_http_wsgi_drain_stream(r);
    }

    return NGX_DECLINED;
}


/* nginx itself sends GOAWAY, and it alone knows which request is the last. */

static void
ngx_http_wsgi_drain_stream(ngx_http_request_t *r)
{
#if (NGX_HTTP_V2)

    ngx_connection_t  *c;

    if (r->stream == NULL || r->stream->connection->goaway) {
        return;
    }

    c = r->stream->connection->connection;

    c->close = 1;

    ngx_post_event(c->read, &ngx_posted_events);

#endif
}


void
ngx_http_wsgi_drain_begin(ngx_http_wsgi_life_t *life)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(life->cycle->conf_ctx,
                                           ngx_core_module);

    life->draining = 1;
    life->began = ngx_current_msec;
    life->patience = life->quitting ? NGX_HTTP_WSGI_DRAIN_QUIT
                  : life->soon ? NGX_HTTP_WSGI_HOLD_IDLE
                  : NGX_HTTP_WSGI_DRAIN_IDLE;

    if (ccf->shutdown_timeout && ccf->shutdown_timeout < life->patience) {
        life->patience = ccf->shutdown_timeout;
    }

    life->first = *ngx_connection_counter;
    life->recent = life->first;
    life->next_recent = life->first;
    life->next_time = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_LONG;

    ngx_http_wsgi_workers_set(life->quitting ? NGX_HTTP_WSGI_WORKER_QUITTING
                                          : NGX_HTTP_WSGI_WORKER_DRAINING);

    ngx_log_error(NGX_LOG_INFO, life->cycle->log, 0, "wsgi: draining");

    ngx_http_wsgi_drain_goaway(life->cycle);

    /* the new workers have them all */

    if (life->holding) {
        ngx_close_listening_sockets(life->cycle);
    }
}


/*
 * As ngx_close_idle_connections() does when nginx exits.  Of those that are
 * "idle", which HTTP/2 and QUIC are with their requests, too, only HTTP/1 has
 * no such frame.  QUIC asks whether nginx exits, and else ends the connection
 * with its requests.
 */

static void
ngx_http_wsgi_drain_goaway(ngx_cycle_t *cycle)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = cycle->connections;

    for (i = 0; i < cycle->connection_n; i++) {

        if (!ngx_http_wsgi_drain_is_client(&c[i])
            || !c[i].idle
            || c[i].log->action == NULL
            || ngx_strcmp(c[i].log->action, "keepalive") == 0)
        {
            continue;
        }

        c[i].close = 1;

        ngx_exiting = (c[i].type == SOCK_DGRAM);

        c[i].read->handler(c[i].read);

        ngx_exiting = 0;
    }
}


/* As ngx_worker_process_exit() tells them from other connections. */

static ngx_uint_t
ngx_http_wsgi_drain_is_client(ngx_connection_t *c)
{
    return c->fd != (ngx_socket_t) -1
           && c->read
           && !c->read->accept
           && !c->read->channel
           && !c->read->resolver
           && c->listening;
}


ngx_uint_t
ngx_http_wsgi_drain_busy(ngx_http_wsgi_life_t *life)
{
    ngx_uint_t          i, alone;
    ngx_msec_t          since;
    ngx_connection_t   *c;
    ngx_atomic_uint_t   limit;

    since = ngx_current_msec - life->began;
    alone = ngx_http_wsgi_drain_alone(life)
            && since < NGX_HTTP_WSGI_DRAIN_ALONE;

    if ((ngx_msec_int_t) (ngx_current_msec - life->next_time) >= 0) {
        life->recent = life->next_recent;
        life->next_recent = *ngx_connection_counter;
        life->next_time = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_LONG;
    }

    if (since >= life->patience && (!alone || life->soon)) {
        return 0;
    }

    limit = alone ? life->recent : life->first;

    c = life->cycle->connections;

    for (i = 0; i < life->cycle->connection_n; i++) {

        if (!ngx_http_wsgi_drain_is_client(&c[i])) {
            continue;
        }

        /* one of HTTP/2 is "idle" with its streams, too */

        if ((c[i].idle && c[i].reusable && since >= life->patience)
            || (life->soon && !c[i].reusable))
        {
            continue;
        }

        if (c[i].idle || c[i].number <= limit) {
            return 1;
        }
    }

    return 0;
}


/* Until its replacement is ready, nobody accepts what this worker would. */

static ngx_uint_t
ngx_http_wsgi_drain_alone(ngx_http_wsgi_life_t *life)
{
    if (life->holding) {
        return 0;
    }

    return ngx_http_wsgi_workers_ready(0) == 0
           || ngx_http_wsgi_accepts_alone(life->cycle);
}


/*
 * What still runs then must not keep those waiting for long who connect.  And
 * what is to be replaced soon may have what would never end.
 */

void
ngx_http_wsgi_drain_quit(ngx_http_wsgi_life_t *life)
{
    ngx_msec_t                  limit;
    ngx_core_conf_t            *ccf;
    ngx_http_wsgi_main_conf_t  *mcf;

    if (ngx_http_wsgi_close_idle(life->cycle, life->soon)) {
        ngx_http_wsgi_life_wait(life);
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(life->cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->shutdown_timeout) {
        limit = ngx_current_msec - life->began;

        ccf->shutdown_timeout -= ngx_min(limit, ccf->shutdown_timeout - 1);
    }

    if (life->soon || ngx_http_wsgi_drain_alone(life)) {
        mcf = ngx_http_cycle_get_module_main_conf(life->cycle,
                                                  ngx_http_wsgi_module);

        limit = ngx_max(mcf->shutdown_timeout, 1);

        if (ccf->shutdown_timeout == 0 || ccf->shutdown_timeout > limit) {
            ccf->shutdown_timeout = limit;
        }
    }

    ngx_quit = 1;
}
