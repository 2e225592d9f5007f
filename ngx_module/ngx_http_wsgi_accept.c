
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of a worker that serves beside others.
 */


#include "ngx_http_wsgi_module.h"


static void ngx_http_wsgi_accept_event(ngx_listening_t *ls, ngx_uint_t on,
    ngx_uint_t flags);


/*
 * As ngx_disable_accept_events() and ngx_enable_accept_events() do.  With
 * "accept_mutex on" the latter is called by who has the mutex: it must not be
 * had, then.
 */

void
ngx_http_wsgi_accept(ngx_cycle_t *cycle, ngx_uint_t on, ngx_uint_t own)
{
    ngx_uint_t        i, flags;
    ngx_listening_t  *ls;

    flags = 0;

#if (NGX_HAVE_EPOLLEXCLUSIVE)

    /* as ngx_event_process_init() does; to a worker alone it does no harm */

    if (ngx_event_flags & NGX_USE_EPOLL_EVENT) {
        flags = NGX_EXCLUSIVE_EVENT;
    }

#endif

    if (ngx_use_accept_mutex) {
        ngx_accept_mutex_held = 0;
        ngx_accept_disabled = on ? 0 : NGX_MAX_INT32_VALUE;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (ls[i].connection == NULL || ls[i].type != SOCK_STREAM) {
            continue;
        }

#if (NGX_HAVE_REUSEPORT)

        if (ls[i].reuseport) {
            ngx_http_wsgi_accept_event(&ls[i], own, 0);
            continue;
        }

#endif

        if (!on || !ngx_use_accept_mutex) {
            ngx_http_wsgi_accept_event(&ls[i], on, flags);
        }
    }
}


static void
ngx_http_wsgi_accept_event(ngx_listening_t *ls, ngx_uint_t on, ngx_uint_t flags)
{
    ngx_int_t     rc;
    ngx_event_t  *rev;

    rev = ls->connection->read;

    if (rev->active == on) {
        return;
    }

    rc = on ? ngx_add_event(rev, NGX_READ_EVENT, flags)
            : ngx_del_event(rev, NGX_READ_EVENT, NGX_DISABLE_EVENT);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, rev->log, 0,
                      "wsgi: the events of %V cannot be changed",
                      &ls->addr_text);
    }
}


ngx_uint_t
ngx_http_wsgi_accepts_alone(ngx_cycle_t *cycle)
{
#if (NGX_HAVE_REUSEPORT)

    ngx_uint_t        i;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].reuseport && ls[i].type == SOCK_STREAM) {
            return 1;
        }
    }

#endif

    return 0;
}
