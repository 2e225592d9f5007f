
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A reload without a dip.
 *
 * nginx tells its old workers to quit 100 ms after it has forked new ones, and
 * applications may take seconds to import.  So
 *
 *   - a new worker of a reload accepts no connections until its Python is
 *     ready, they are the old workers' meanwhile;
 *   - an old worker holds "quit" back until all new workers are ready;
 *   - then it closes its listening sockets, ends each keep-alive connection by
 *     "Connection: close" in its next response, and leaves idle ones to their
 *     clients for a while: a request that is on its way when the server closes
 *     is lost, and a front may not send a POST again;
 *   - then it lets nginx's own graceful shutdown go on.
 *
 * What workers of different generations know of each other is a page of memory
 * that the master makes once and all workers inherit.
 */


#include "ngx_http_wsgi_module.h"

#include <sys/mman.h>


#define NGX_HTTP_WSGI_DRAIN_TICK  20

/* for clients, and fronts, to use or to close what is idle */

#define NGX_HTTP_WSGI_DRAIN_IDLE  10000

/* for the start of Python, beside the imports */

#define NGX_HTTP_WSGI_DRAIN_GRACE  5000


typedef struct {
    ngx_atomic_t  generation;       /* of the newest workers */
    ngx_atomic_t  workers;          /* of that generation */
    ngx_atomic_t  ready;            /* of them */
    ngx_atomic_t  patience;         /* msec, of those before them */
} ngx_http_wsgi_generation_t;


typedef struct {
    ngx_cycle_t            *cycle;
    ngx_event_handler_pt    channel_handler;
    ngx_event_t             timer;
    ngx_event_t             hook;
    ngx_msec_t              deadline;
    unsigned                ready:1;
    unsigned                refusing:1;       /* accepts no connections */
    unsigned                holding:1;        /* has been told to quit */
    unsigned                draining:1;
} ngx_http_wsgi_drain_t;


static ngx_int_t ngx_http_wsgi_drain_handler(ngx_http_request_t *r);
static void ngx_http_wsgi_drain_accept(ngx_cycle_t *cycle, ngx_uint_t on);
static void ngx_http_wsgi_drain_hook(ngx_event_t *ev);
static void ngx_http_wsgi_drain_channel(ngx_event_t *ev);
static void ngx_http_wsgi_drain_timer(ngx_event_t *ev);
static void ngx_http_wsgi_drain_begin(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_wsgi_drain_idle(ngx_cycle_t *cycle);
static void ngx_http_wsgi_drain_wait(void);


/* the master's, inherited; NULL: there is none, and nothing is held back */

static ngx_http_wsgi_generation_t  *ngx_http_wsgi_generation;
static ngx_atomic_uint_t            ngx_http_wsgi_my_generation;

static ngx_http_wsgi_drain_t        ngx_http_wsgi_drain;


ngx_int_t
ngx_http_wsgi_drain_init_module(ngx_cycle_t *cycle)
{
    void                       *p;
    ngx_core_conf_t            *ccf;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wsgi_module);

    if (mcf == NULL || mcf->apps.nelts == 0 || ngx_test_config) {
        return NGX_OK;
    }

    if (ngx_http_wsgi_generation == NULL) {
        p = mmap(NULL, sizeof(ngx_http_wsgi_generation_t),
                 PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

        if (p == MAP_FAILED) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "mmap() failed, workers will not wait for those of "
                          "a reload");
            return NGX_OK;
        }

        ngx_http_wsgi_generation = p;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    ngx_http_wsgi_generation->ready = 0;
    ngx_http_wsgi_generation->workers = ccf->worker_processes;
    ngx_http_wsgi_generation->patience = mcf->start_timeout * mcf->apps.nelts
                                         + NGX_HTTP_WSGI_DRAIN_GRACE;

    ngx_http_wsgi_my_generation =
        ngx_atomic_fetch_add(&ngx_http_wsgi_generation->generation, 1) + 1;

    return NGX_OK;
}


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


static ngx_int_t
ngx_http_wsgi_drain_handler(ngx_http_request_t *r)
{
    if (ngx_http_wsgi_drain.draining) {
        r->keepalive = 0;
    }

    return NGX_DECLINED;
}


void
ngx_http_wsgi_drain_init(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;

    if (ngx_http_wsgi_generation == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return;
    }

    d->cycle = cycle;

    d->timer.handler = ngx_http_wsgi_drain_timer;
    d->timer.log = cycle->log;

    /* nginx adds the event of its channel after all init_process handlers */

    d->hook.handler = ngx_http_wsgi_drain_hook;
    d->hook.log = cycle->log;

    ngx_post_event(&d->hook, &ngx_posted_events);

    if (ngx_http_wsgi_process.runtime == NULL) {
        ngx_http_wsgi_drain_ready(cycle);
        return;
    }

    if (ngx_http_wsgi_my_generation > 1) {
        d->refusing = 1;
        ngx_http_wsgi_drain_accept(cycle, 0);
    }
}


void
ngx_http_wsgi_drain_ready(ngx_cycle_t *cycle)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;

    if (d->ready || ngx_http_wsgi_generation == NULL) {
        return;
    }

    d->ready = 1;

    if (ngx_http_wsgi_my_generation == ngx_http_wsgi_generation->generation) {
        (void) ngx_atomic_fetch_add(&ngx_http_wsgi_generation->ready, 1);
    }

    if (d->refusing && !ngx_exiting) {
        ngx_http_wsgi_drain_accept(cycle, 1);
    }

    d->refusing = 0;
}


/* As ngx_disable_accept_events() and ngx_enable_accept_events() do. */

static void
ngx_http_wsgi_drain_accept(ngx_cycle_t *cycle, ngx_uint_t on)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        c = ls[i].connection;

        if (c == NULL || ls[i].type != SOCK_STREAM) {
            continue;
        }

#if (NGX_HAVE_REUSEPORT)

        /* the kernel gives it connections that no other worker can take */

        if (ls[i].reuseport) {
            continue;
        }

#endif

        if (c->read->active == on) {
            continue;
        }

        rc = on ? ngx_add_event(c->read, NGX_READ_EVENT, 0)
                : ngx_del_event(c->read, NGX_READ_EVENT, NGX_DISABLE_EVENT);

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "wsgi: the events of %V cannot be changed",
                          &ls[i].addr_text);
        }
    }
}


/* The loop's first turn: what the master says passes through us from now on. */

static void
ngx_http_wsgi_drain_hook(ngx_event_t *ev)
{
    ngx_uint_t              i;
    ngx_cycle_t            *cycle;
    ngx_connection_t       *c;
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;
    cycle = d->cycle;

    for (i = 0; i < cycle->connection_n; i++) {
        c = &cycle->connections[i];

        if (c->fd == ngx_channel && c->read && c->read->channel) {
            d->channel_handler = c->read->handler;
            c->read->handler = ngx_http_wsgi_drain_channel;
            return;
        }
    }
}


/*
 * nginx looks at ngx_quit when this turn of the loop has ended: until then it
 * can be taken back.
 */

static void
ngx_http_wsgi_drain_channel(ngx_event_t *ev)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;

    d->channel_handler(ev);

    if (!ngx_quit || d->holding || ngx_exiting
        || ngx_http_wsgi_my_generation == ngx_http_wsgi_generation->generation)
    {
        return;
    }

    ngx_quit = 0;

    d->holding = 1;
    d->deadline = ngx_current_msec + ngx_http_wsgi_generation->patience;

    ngx_log_error(NGX_LOG_NOTICE, ev->log, 0,
                  "wsgi: serving on until the new workers are ready");

    ngx_http_wsgi_drain_wait();
}


static void
ngx_http_wsgi_drain_timer(ngx_event_t *ev)
{
    ngx_uint_t              late;
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;

    if (ngx_exiting) {
        return;
    }

    late = (ngx_msec_int_t) (ngx_current_msec - d->deadline) >= 0;

    if (!d->draining) {

        if (ngx_http_wsgi_generation->ready < ngx_http_wsgi_generation->workers
            && !late)
        {
            ngx_http_wsgi_drain_wait();
            return;
        }

        ngx_http_wsgi_drain_begin(d->cycle);
        late = 0;
    }

    if (ngx_http_wsgi_drain_idle(d->cycle) && !late) {
        ngx_http_wsgi_drain_wait();
        return;
    }

    ngx_quit = 1;
}


static void
ngx_http_wsgi_drain_begin(ngx_cycle_t *cycle)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_drain;

    d->draining = 1;
    d->deadline = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_IDLE;

    ngx_close_listening_sockets(cycle);
}


/* Is there a connection that its client may be about to use? */

static ngx_uint_t
ngx_http_wsgi_drain_idle(ngx_cycle_t *cycle)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = cycle->connections;

    for (i = 0; i < cycle->connection_n; i++) {
        if (c[i].fd != (ngx_socket_t) -1 && c[i].idle) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_wsgi_drain_wait(void)
{
    ngx_add_timer(&ngx_http_wsgi_drain.timer, NGX_HTTP_WSGI_DRAIN_TICK);
}
