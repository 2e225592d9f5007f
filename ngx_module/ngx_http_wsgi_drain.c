
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The ends and beginnings of workers, so that no request feels them.
 *
 * nginx tells its old workers to quit 100 ms after it has forked new ones, and
 * applications may take seconds to import; and a worker that has to be replaced
 * quits before nginx forks another.  So
 *
 *   - a new worker accepts no connections until its Python is ready, as long as
 *     others are ready;
 *   - an old worker of a reload holds "quit" back until all new ones are ready;
 *   - a worker that has to be replaced waits for its turn: one at a time, and
 *     only when all others are ready.
 *
 * Then the worker drains.  It leaves new connections to others.  It ends each
 * keep-alive connection by "Connection: close" in its next response, and leaves
 * idle ones to their clients for a while: a request that is on its way when the
 * server closes is lost, and a front may not send a POST again.  Then it lets
 * nginx's own graceful shutdown go on.  worker_shutdown_timeout bounds it all.
 *
 * The same when all workers quit, for a shorter while: a front may have other
 * servers, or another binary has taken over the listening sockets.
 *
 * If there are no others, it goes on accepting connections, looks for a moment
 * at which nothing runs that takes long, and quits.  What connects until its
 * replacement is ready waits in the listening sockets, which the master keeps
 * open.
 */


#include "ngx_http_wsgi_module.h"


#define NGX_HTTP_WSGI_DRAIN_TICK  20

/* for clients, and fronts, to use or to close what is idle */

#define NGX_HTTP_WSGI_DRAIN_IDLE  10000
#define NGX_HTTP_WSGI_DRAIN_QUIT  2000

/* for who cannot import what is on the disk to be repaired */

#define NGX_HTTP_WSGI_DRAIN_RETRY  5000

/* without others: for requests that take long to end, and what is long */

#define NGX_HTTP_WSGI_DRAIN_ALONE  60000
#define NGX_HTTP_WSGI_DRAIN_LONG   100


typedef struct {
    ngx_cycle_t            *cycle;
    ngx_event_handler_pt    channel_handler;
    ngx_event_t             timer;
    ngx_event_t             hook;
    ngx_msec_t              deadline;         /* of holding, wanted, failed */
    ngx_msec_t              began;            /* draining */
    ngx_msec_t              patience;         /* with what is idle then */
    ngx_atomic_uint_t       lease;            /* of which deadline is */
    ngx_atomic_uint_t       first;            /* connections since it began */
    ngx_atomic_uint_t       recent;           /* those of late */
    ngx_atomic_uint_t       next_recent;      /* at next_time */
    ngx_msec_t              next_time;
    ngx_uint_t              failures;         /* of imports */
    unsigned                ready:1;
    unsigned                failed:1;         /* to become so */
    unsigned                refusing:1;       /* accepts no connections */
    unsigned                holding:1;        /* has been told to quit */
    unsigned                quitting:1;       /* and all others, too */
    unsigned                wanted:1;         /* has to be replaced */
    unsigned                soon:1;
    unsigned                draining:1;
    unsigned                held:1;           /* nobody is to be served */
} ngx_http_wsgi_drain_t;


static void ngx_http_wsgi_drain_ready(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_retry(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_accept(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_hook(ngx_event_t *ev);
static void ngx_http_wsgi_drain_channel(ngx_event_t *ev);
static void ngx_http_wsgi_drain_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_wsgi_drain_due(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_begin(ngx_http_wsgi_drain_t *d);
static ngx_uint_t ngx_http_wsgi_drain_busy(ngx_http_wsgi_drain_t *d);
static ngx_uint_t ngx_http_wsgi_drain_alone(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_quit(ngx_http_wsgi_drain_t *d);
static void ngx_http_wsgi_drain_wait(ngx_http_wsgi_drain_t *d);


static ngx_http_wsgi_drain_t  ngx_http_wsgi_draining;


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
    if (ngx_http_wsgi_draining.draining || ngx_http_wsgi_draining.held) {
        r->keepalive = 0;
    }

    return NGX_DECLINED;
}


void
ngx_http_wsgi_drain_init(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_http_wsgi_drain_t  *d;

    if (!ngx_http_wsgi_workers_known()) {
        return;
    }

    d = &ngx_http_wsgi_draining;

    d->cycle = cycle;

    d->timer.handler = ngx_http_wsgi_drain_timer;
    d->timer.data = d;
    d->timer.log = cycle->log;

    /* nginx adds the event of its channel after all init_process handlers */

    d->hook.handler = ngx_http_wsgi_drain_hook;
    d->hook.data = d;
    d->hook.log = cycle->log;

    ngx_post_event(&d->hook, &ngx_posted_events);

    ngx_http_wsgi_workers_set(NGX_HTTP_WSGI_WORKER_STARTING);

    ngx_http_wsgi_drain_accept(d);
    ngx_http_wsgi_drain_wait(d);

    if (ngx_http_wsgi_process.runtime == NULL) {
        ngx_http_wsgi_drain_imported(mcf->apps.nelts);
    }
}


void
ngx_http_wsgi_drain_imported(ngx_uint_t failures)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_draining;

    if (d->cycle == NULL || ngx_exiting) {
        return;
    }

    d->failures = failures;

    if (!ngx_http_wsgi_workers_worse(failures)
        || ngx_http_wsgi_workers_ready(0) == 0)
    {
        ngx_http_wsgi_drain_ready(d);
        return;
    }

    /* nobody else is to be replaced by the like of this one */

    ngx_http_wsgi_workers_renew_lease();

    d->failed = 1;
    d->deadline = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_RETRY;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "wsgi: this worker cannot import what the one before it "
                  "could, it leaves clients to those that are ready");
}


static void
ngx_http_wsgi_drain_ready(ngx_http_wsgi_drain_t *d)
{
    d->ready = 1;
    d->failed = 0;

    ngx_http_wsgi_workers_set_failures(d->failures);

    if (!d->draining) {
        ngx_http_wsgi_workers_set(NGX_HTTP_WSGI_WORKER_READY);
        ngx_http_wsgi_drain_accept(d);
    }

    ngx_http_wsgi_workers_end_lease();
}


/* Others serve what this one could not: it tries again, as a new process. */

static void
ngx_http_wsgi_drain_retry(ngx_http_wsgi_drain_t *d)
{
    if (ngx_http_wsgi_workers_ready(0) == 0) {
        ngx_http_wsgi_drain_ready(d);
        return;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - d->deadline) >= 0) {
        d->failed = 0;

        ngx_http_wsgi_drain("its applications may be importable now",
                            NWSGI_DRAIN_SOON);
    }
}


void
ngx_http_wsgi_drain(const char *reason, ngx_uint_t flags)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_draining;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (d->cycle == NULL) {

        if (!d->wanted) {
            d->wanted = 1;

            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "wsgi: this process should be replaced, but there "
                          "is no master to do that: %s", reason);
        }

        return;
    }

    if (flags & NWSGI_DRAIN_SOON) {
        d->soon = 1;
        d->held = 1;
        d->patience = ngx_min(d->patience, NGX_HTTP_WSGI_HOLD_IDLE);
    }

    if (!d->wanted) {
        d->wanted = 1;
        d->lease = ngx_http_wsgi_workers_lease();
        d->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience();

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "wsgi: this worker is to be replaced: %s", reason);
    }

    ngx_http_wsgi_drain_wait(d);
}


/* python, go: without malloc(), since once for each kind is enough */

void
ngx_http_wsgi_host_drain(const char *reason, size_t len, uint32_t flags)
{
    ngx_uint_t                       soon;
    ngx_http_wsgi_message_t         *m;
    static uint32_t                  called[2];
    static u_char                    text[2][NGX_HTTP_WSGI_MAX_REASON];
    static ngx_http_wsgi_message_t   messages[2];

    soon = (flags & NWSGI_DRAIN_SOON) != 0;

    if (__atomic_exchange_n(&called[soon], 1, __ATOMIC_RELAXED)) {
        return;
    }

    m = &messages[soon];

    m->type = NGX_HTTP_WSGI_MESSAGE_DRAIN;
    m->flags = flags;
    m->body.data = text[soon];
    m->body.len = ngx_min(len, NGX_HTTP_WSGI_MAX_REASON - 1);

    ngx_memcpy(m->body.data, reason, m->body.len);

    ngx_http_wsgi_push(m, 1);
}


void
ngx_http_wsgi_drain_hold(ngx_uint_t on)
{
    ngx_http_wsgi_drain_t  *d;

    d = &ngx_http_wsgi_draining;

    if (d->cycle == NULL || ngx_exiting) {
        return;
    }

    d->held = on;

    ngx_http_wsgi_drain_accept(d);
}


/* Who is not ready, or drains, accepts what nobody else would. */

static void
ngx_http_wsgi_drain_accept(ngx_http_wsgi_drain_t *d)
{
    ngx_uint_t  refuse, own;

    own = d->held || (!d->ready && ngx_http_wsgi_workers_succeed());

    refuse = own
             || ((!d->ready || d->draining) && ngx_http_wsgi_workers_ready(0));

    if (refuse || d->refusing) {
        d->refusing = refuse;
        ngx_http_wsgi_accept(d->cycle, !refuse, !own);
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

    d = ev->data;
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

    d = &ngx_http_wsgi_draining;

    d->channel_handler(ev);

    if (!ngx_quit || d->holding || ngx_exiting) {
        return;
    }

    ngx_quit = 0;

    d->holding = 1;
    d->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience();

    if (ngx_http_wsgi_workers_newest()) {
        d->quitting = 1;
        ngx_http_wsgi_drain_begin(d);

    } else if (!d->draining) {
        ngx_log_error(NGX_LOG_NOTICE, ev->log, 0,
                      "wsgi: serving on until the new workers are ready");
    }

    ngx_http_wsgi_drain_wait(d);
}


static void
ngx_http_wsgi_drain_timer(ngx_event_t *ev)
{
    ngx_uint_t              due;
    ngx_http_wsgi_drain_t  *d;

    d = ev->data;

    if (ngx_exiting) {
        return;
    }

    if (d->failed) {
        ngx_http_wsgi_drain_retry(d);
    }

    due = ngx_http_wsgi_drain_due(d);

    if (due && !d->draining) {
        ngx_http_wsgi_drain_begin(d);
    }

    ngx_http_wsgi_drain_accept(d);

    if (due && !ngx_http_wsgi_drain_busy(d)) {
        ngx_http_wsgi_drain_quit(d);
        return;
    }

    if (!d->ready || d->holding || d->wanted) {
        ngx_http_wsgi_drain_wait(d);
    }
}


/*
 * Is this worker to go?  If it is for a reload, when all new workers are ready;
 * else when it is its turn.  In either case the others may need too long.
 */

static ngx_uint_t
ngx_http_wsgi_drain_due(ngx_http_wsgi_drain_t *d)
{
    ngx_uint_t         late;
    ngx_atomic_uint_t  lease;

    if (d->draining && !d->holding) {
        return 1;
    }

    if (d->wanted && !d->holding) {

        if (!ngx_http_wsgi_workers_newest()) {
            return 0;
        }

        if (d->soon) {
            return 1;
        }

        lease = ngx_http_wsgi_workers_lease();

        if (d->lease != lease) {
            d->lease = lease;
            d->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience()
                          + NGX_HTTP_WSGI_DRAIN_ALONE;
        }
    }

    late = (ngx_msec_int_t) (ngx_current_msec - d->deadline) >= 0;

    if (d->holding) {
        return late || ngx_http_wsgi_workers_complete();
    }

    return d->wanted
           && (late || ngx_http_wsgi_workers_complete())
           && ngx_http_wsgi_workers_take_lease(d->lease, late);
}


static void
ngx_http_wsgi_drain_begin(ngx_http_wsgi_drain_t *d)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(d->cycle->conf_ctx, ngx_core_module);

    d->draining = 1;
    d->began = ngx_current_msec;
    d->patience = d->quitting ? NGX_HTTP_WSGI_DRAIN_QUIT
                  : d->soon ? NGX_HTTP_WSGI_HOLD_IDLE
                  : NGX_HTTP_WSGI_DRAIN_IDLE;

    if (ccf->shutdown_timeout && ccf->shutdown_timeout < d->patience) {
        d->patience = ccf->shutdown_timeout;
    }

    d->first = *ngx_connection_counter;
    d->recent = d->first;
    d->next_recent = d->first;
    d->next_time = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_LONG;

    ngx_http_wsgi_workers_set(d->quitting ? NGX_HTTP_WSGI_WORKER_QUITTING
                                          : NGX_HTTP_WSGI_WORKER_DRAINING);

    ngx_log_error(NGX_LOG_INFO, d->cycle->log, 0, "wsgi: draining");

    /* the new workers have them all */

    if (d->holding) {
        ngx_close_listening_sockets(d->cycle);
    }
}


/*
 * Is there a connection that its client may be about to use?  Such are idle
 * ones, and those of requests whose answer may have promised to keep it.  And,
 * when there are no others, one that would keep this worker from its end, and
 * so those from being served that wait to connect.
 */

static ngx_uint_t
ngx_http_wsgi_drain_busy(ngx_http_wsgi_drain_t *d)
{
    ngx_uint_t          i, alone;
    ngx_msec_t          since;
    ngx_connection_t   *c;
    ngx_atomic_uint_t   limit;

    since = ngx_current_msec - d->began;
    alone = ngx_http_wsgi_drain_alone(d) && since < NGX_HTTP_WSGI_DRAIN_ALONE;

    if ((ngx_msec_int_t) (ngx_current_msec - d->next_time) >= 0) {
        d->recent = d->next_recent;
        d->next_recent = *ngx_connection_counter;
        d->next_time = ngx_current_msec + NGX_HTTP_WSGI_DRAIN_LONG;
    }

    if (since >= d->patience && (!alone || d->soon)) {
        return 0;
    }

    limit = alone ? d->recent : d->first;

    c = d->cycle->connections;

    for (i = 0; i < d->cycle->connection_n; i++) {

        /* as ngx_worker_process_exit() does */

        if (c[i].fd == (ngx_socket_t) -1
            || c[i].read == NULL
            || c[i].read->accept
            || c[i].read->channel
            || c[i].read->resolver
            || c[i].listening == NULL)
        {
            continue;
        }

        if ((c[i].idle && since >= d->patience)
            || (d->soon && !c[i].reusable))
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
ngx_http_wsgi_drain_alone(ngx_http_wsgi_drain_t *d)
{
    if (d->holding) {
        return 0;
    }

    return ngx_http_wsgi_workers_ready(0) == 0
           || ngx_http_wsgi_accepts_alone(d->cycle);
}


/* What still runs then must not keep those waiting for long who connect. */

static void
ngx_http_wsgi_drain_quit(ngx_http_wsgi_drain_t *d)
{
    ngx_msec_t                  limit;
    ngx_core_conf_t            *ccf;
    ngx_http_wsgi_main_conf_t  *mcf;

    if (ngx_http_wsgi_close_idle(d->cycle, d->soon)) {
        ngx_http_wsgi_drain_wait(d);
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(d->cycle->conf_ctx, ngx_core_module);

    if (ccf->shutdown_timeout) {
        limit = ngx_current_msec - d->began;

        ccf->shutdown_timeout -= ngx_min(limit, ccf->shutdown_timeout - 1);
    }

    if (ngx_http_wsgi_drain_alone(d)) {
        mcf = ngx_http_cycle_get_module_main_conf(d->cycle,
                                                  ngx_http_wsgi_module);

        limit = ngx_max(mcf->shutdown_timeout, 1);

        if (ccf->shutdown_timeout == 0 || ccf->shutdown_timeout > limit) {
            ccf->shutdown_timeout = limit;
        }
    }

    ngx_quit = 1;
}


static void
ngx_http_wsgi_drain_wait(ngx_http_wsgi_drain_t *d)
{
    if (!d->timer.timer_set) {
        ngx_add_timer(&d->timer, NGX_HTTP_WSGI_DRAIN_TICK);
    }
}
