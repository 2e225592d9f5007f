
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A worker that lets clients wait, for its replacement perhaps: it accepts no
 * connections, ends those it has by "Connection: close", and after a moment
 * closes what is idle, so that a request waits in a listening socket.
 */


#include "ngx_http_wsgi_module.h"


#define NGX_HTTP_WSGI_HOLD_TICK  20


static void ngx_http_wsgi_hold_timer(ngx_event_t *ev);


/* Threads set "on"; the message tells the loop to look, once for many calls. */

static struct {
    uint32_t                  on;
    uint32_t                  sent;
    ngx_http_wsgi_message_t   message;
    ngx_event_t               timer;
    ngx_msec_t                began;
} hold;


/* python, go */

void
ngx_http_wsgi_host_hold(uint32_t on)
{
    __atomic_store_n(&hold.on, on, __ATOMIC_SEQ_CST);

    if (__atomic_exchange_n(&hold.sent, 1, __ATOMIC_SEQ_CST)) {
        return;
    }

    hold.message.type = NGX_HTTP_WSGI_MESSAGE_HOLD;

    ngx_http_wsgi_push(&hold.message, 1);
}


void
ngx_http_wsgi_hold(void)
{
    uint32_t  on;

    __atomic_store_n(&hold.sent, 0, __ATOMIC_SEQ_CST);

    on = __atomic_load_n(&hold.on, __ATOMIC_SEQ_CST);

    ngx_http_wsgi_life_hold(on);

    if (on && hold.timer.handler == NULL) {
        hold.timer.handler = ngx_http_wsgi_hold_timer;
        hold.timer.data = &hold;        /* nginx's debug log looks there */
        hold.timer.log = ngx_cycle->log;
        hold.timer.cancelable = 1;
        hold.began = ngx_current_msec;

        ngx_http_wsgi_hold_timer(&hold.timer);
    }
}


static void
ngx_http_wsgi_hold_timer(ngx_event_t *ev)
{
    if (ngx_exiting || !__atomic_load_n(&hold.on, __ATOMIC_SEQ_CST)) {
        ev->handler = NULL;
        return;
    }

    /* a busy client uses its connections before, and is told of their end */

    if (ngx_current_msec - hold.began >= NGX_HTTP_WSGI_HOLD_IDLE) {
        (void) ngx_http_wsgi_close_idle((ngx_cycle_t *) ngx_cycle, 1);
    }

    ngx_add_timer(ev, NGX_HTTP_WSGI_HOLD_TICK);
}


/*
 * As ngx_drain_connections() does: what is reusable is between two requests, or
 * before its first one.
 */

ngx_uint_t
ngx_http_wsgi_close_idle(ngx_cycle_t *cycle, ngx_uint_t unused)
{
    char               byte;
    ngx_uint_t         i, left;
    ngx_connection_t  *c;

    left = 0;
    c = cycle->connections;

    for (i = 0; i < cycle->connection_n; i++) {

        if (c[i].fd == (ngx_socket_t) -1
            || !c[i].reusable
            || c[i].listening == NULL
            || c[i].type != SOCK_STREAM
            || (!c[i].idle && !unused))
        {
            continue;
        }

        if (recv(c[i].fd, &byte, 1, MSG_PEEK|MSG_DONTWAIT) > 0) {
            left++;
            continue;
        }

        c[i].close = 1;
        c[i].read->handler(c[i].read);
    }

    return left;
}
