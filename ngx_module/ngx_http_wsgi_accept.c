
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of a worker that serves beside others, or alone while it
 * starts.
 */


#include "ngx_http_wsgi_life.h"


static void ngx_http_wsgi_accept_events(ngx_cycle_t *cycle, ngx_uint_t on,
    ngx_uint_t own);
static void ngx_http_wsgi_accept_event(ngx_listening_t *ls, ngx_uint_t on,
    ngx_uint_t flags);


/*
 * Who is not ready, or drains, accepts what nobody else would.  What a queue
 * could not hold until Python is ready waits in the listening sockets, and then
 * does not come at once.
 */

void
ngx_http_wsgi_accept(ngx_http_wsgi_life_t *life)
{
    ngx_uint_t  refuse, own, full;

    full = (!life->ready || life->crowded)
           && ngx_http_wsgi_count_waiting() >= life->queue;

    if (full) {
        life->crowded = 1;
    }

    own = life->held
          || full
          || (!life->ready && ngx_http_wsgi_workers_succeed());

    refuse = own
             || ((!life->ready || life->draining)
                 && ngx_http_wsgi_workers_ready(0));

    if (refuse || life->refusing) {
        life->refusing = refuse;
        ngx_http_wsgi_accept_events(life->cycle, !refuse, !own);
    }
}


void
ngx_http_wsgi_accept_request(ngx_http_wsgi_life_t *life)
{
    if (life->cycle == NULL || life->refusing || ngx_exiting) {
        return;
    }

    if (!life->ready || life->crowded) {
        ngx_http_wsgi_accept(life);
    }
}


/*
 * Half of the smallest queue: those connections that have sent no request yet
 * will send one.
 */

ngx_uint_t
ngx_http_wsgi_accept_limit(ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_uint_t              i, queue;
    ngx_http_wsgi_pool_t  **pools;

    queue = NGX_MAX_UINT32_VALUE;
    pools = mcf->pools.elts;

    for (i = 0; i < mcf->pools.nelts; i++) {
        queue = ngx_min(queue, pools[i]->queue / 2);
    }

    return ngx_max(queue, 1);
}


/*
 * As ngx_disable_accept_events() and ngx_enable_accept_events() do.  With
 * "accept_mutex on" the latter is called by who has the mutex: it must not be
 * had, then.  "own": on sockets of "reuseport".
 */

static void
ngx_http_wsgi_accept_events(ngx_cycle_t *cycle, ngx_uint_t on, ngx_uint_t own)
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
