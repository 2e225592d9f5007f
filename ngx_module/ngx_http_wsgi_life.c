
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
 * Then it drains, _drain.c.
 */


#include "ngx_http_wsgi_life.h"


/* for who cannot import what is on the disk to be repaired */

#define NGX_HTTP_WSGI_LIFE_RETRY  5000

/* for those who have waited for a start to be let in by and by, msec */

#define NGX_HTTP_WSGI_LIFE_CROWD  2000


static void ngx_http_wsgi_life_ready(ngx_http_wsgi_life_t *life);
static void ngx_http_wsgi_life_retry(ngx_http_wsgi_life_t *life);
static void ngx_http_wsgi_life_hook(ngx_event_t *ev);
static void ngx_http_wsgi_life_channel(ngx_event_t *ev);
static void ngx_http_wsgi_life_quit(ngx_http_wsgi_life_t *life);
static void ngx_http_wsgi_life_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_wsgi_life_due(ngx_http_wsgi_life_t *life);
static ngx_uint_t ngx_http_wsgi_life_has_master(ngx_http_wsgi_life_t *life);


ngx_http_wsgi_life_t  ngx_http_wsgi_life;


void
ngx_http_wsgi_life_init(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_http_wsgi_life_t  *life;

    if (!ngx_http_wsgi_workers_known()) {
        return;
    }

    life = &ngx_http_wsgi_life;

    life->cycle = cycle;
    life->queue = ngx_http_wsgi_accept_limit(mcf);

    life->timer.handler = ngx_http_wsgi_life_timer;
    life->timer.data = life;
    life->timer.log = cycle->log;

    /* nginx adds the event of its channel after all init_process handlers */

    life->hook.handler = ngx_http_wsgi_life_hook;
    life->hook.data = life;
    life->hook.log = cycle->log;

    ngx_post_event(&life->hook, &ngx_posted_events);

    ngx_http_wsgi_workers_set(NGX_HTTP_WSGI_WORKER_STARTING);

    ngx_http_wsgi_accept(life);
    ngx_http_wsgi_life_wait(life);

    if (ngx_http_wsgi_process.runtime == NULL) {
        ngx_http_wsgi_life_imported(mcf->apps.nelts);
    }
}


void
ngx_http_wsgi_life_imported(ngx_uint_t failures)
{
    ngx_http_wsgi_life_t       *life;
    ngx_http_wsgi_main_conf_t  *mcf;

    life = &ngx_http_wsgi_life;

    if (life->cycle == NULL || ngx_exiting) {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(life->cycle,
                                              ngx_http_wsgi_module);

    life->failures = failures;
    life->able = failures < mcf->apps.nelts;

    /* "wsgi_check off" means that what cannot be imported is to be tried */

    life->barren = !life->able
                   && (ngx_http_wsgi_process.runtime == NULL
                       || mcf->check != NGX_HTTP_WSGI_CHECK_OFF);

    if ((!ngx_http_wsgi_workers_worse(failures)
         && !(life->barren && ngx_http_wsgi_workers_able()))
        || ngx_http_wsgi_workers_ready(0) == 0)
    {
        ngx_http_wsgi_life_ready(life);
        return;
    }

    /* nobody else is to be replaced by the like of this one */

    ngx_http_wsgi_workers_renew_lease();

    life->failed = 1;
    life->deadline = ngx_current_msec + NGX_HTTP_WSGI_LIFE_RETRY;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "wsgi: this worker cannot import what those before it "
                  "could, it leaves clients to those that are ready");
}


static void
ngx_http_wsgi_life_ready(ngx_http_wsgi_life_t *life)
{
    life->ready = 1;
    life->failed = 0;
    life->crowd = ngx_current_msec + NGX_HTTP_WSGI_LIFE_CROWD;

    /* what it lacks may be what those had that have gone since the reload */

    if (life->barren && ngx_http_wsgi_workers_reloaded()) {
        life->deadline = ngx_current_msec + NGX_HTTP_WSGI_LIFE_RETRY;

    } else {
        life->barren = 0;
    }

    ngx_http_wsgi_workers_set_failures(life->failures, life->able);

    if (!life->draining) {
        ngx_http_wsgi_workers_set(NGX_HTTP_WSGI_WORKER_READY);
        ngx_http_wsgi_accept(life);
    }

    ngx_http_wsgi_workers_end_lease();
}


/*
 * It tries again, as a new process.  If others serve what it could not, it has
 * no clients that would have to be waited for.
 */

static void
ngx_http_wsgi_life_retry(ngx_http_wsgi_life_t *life)
{
    ngx_uint_t  flags;

    if (life->failed && ngx_http_wsgi_workers_ready(0) == 0) {
        ngx_http_wsgi_life_ready(life);
        return;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - life->deadline) >= 0) {
        flags = life->failed ? NWSGI_DRAIN_SOON : 0;

        life->failed = 0;
        life->barren = 0;

        ngx_http_wsgi_drain("its applications may be importable now", flags);
    }
}


void
ngx_http_wsgi_drain(const char *reason, ngx_uint_t flags)
{
    ngx_http_wsgi_life_t  *life;

    life = &ngx_http_wsgi_life;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (!ngx_http_wsgi_life_has_master(life)) {

        if (!life->wanted) {
            life->wanted = 1;

            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "wsgi: this process should be replaced, but there "
                          "is no master to do that: %s", reason);
        }

        return;
    }

    if (flags & NWSGI_DRAIN_SOON) {
        life->soon = 1;
        life->held = 1;
        life->patience = ngx_min(life->patience, NGX_HTTP_WSGI_HOLD_IDLE);
    }

    if (!life->wanted) {
        life->wanted = 1;
        life->lease = ngx_http_wsgi_workers_lease();
        life->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience();

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "wsgi: this worker is to be replaced: %s", reason);
    }

    ngx_http_wsgi_life_wait(life);
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
ngx_http_wsgi_life_hold(ngx_uint_t on)
{
    ngx_http_wsgi_life_t  *life;

    life = &ngx_http_wsgi_life;

    if (life->cycle == NULL || ngx_exiting) {
        return;
    }

    life->held = on;

    ngx_http_wsgi_accept(life);
}


/*
 * The loop's first turn: what the master says passes through us from now on.
 * It may have said it already, in this turn.
 */

static void
ngx_http_wsgi_life_hook(ngx_event_t *ev)
{
    ngx_uint_t              i;
    ngx_cycle_t            *cycle;
    ngx_connection_t       *c;
    ngx_http_wsgi_life_t  *life;

    life = ev->data;
    cycle = life->cycle;

    for (i = 0; i < cycle->connection_n; i++) {
        c = &cycle->connections[i];

        if (c->fd == ngx_channel && c->read && c->read->channel) {
            life->channel_handler = c->read->handler;
            c->read->handler = ngx_http_wsgi_life_channel;
            break;
        }
    }

    ngx_http_wsgi_life_quit(life);
}


static void
ngx_http_wsgi_life_channel(ngx_event_t *ev)
{
    ngx_http_wsgi_life.channel_handler(ev);

    ngx_http_wsgi_life_quit(&ngx_http_wsgi_life);
}


/*
 * nginx looks at ngx_quit when this turn of the loop has ended: until then it
 * can be taken back.
 */

static void
ngx_http_wsgi_life_quit(ngx_http_wsgi_life_t *life)
{
    if (!ngx_quit || life->holding || ngx_exiting) {
        return;
    }

    ngx_quit = 0;

    life->holding = 1;
    life->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience();

    if (ngx_http_wsgi_workers_newest()) {
        life->quitting = 1;
        ngx_http_wsgi_drain_begin(life);

    } else if (!life->draining) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "wsgi: serving on until the new workers are ready");
    }

    ngx_http_wsgi_life_wait(life);
}


static void
ngx_http_wsgi_life_timer(ngx_event_t *ev)
{
    ngx_uint_t              due;
    ngx_http_wsgi_life_t  *life;

    life = ev->data;

    if (ngx_exiting) {
        return;
    }

    if (life->failed
        || (life->ready && life->barren && !life->holding && !life->wanted))
    {
        ngx_http_wsgi_life_retry(life);
    }

    if (life->ready
        && (ngx_msec_int_t) (ngx_current_msec - life->crowd) >= 0)
    {
        life->crowded = 0;
    }

    due = ngx_http_wsgi_life_due(life);

    if (due && !life->draining) {
        ngx_http_wsgi_drain_begin(life);
    }

    ngx_http_wsgi_accept(life);

    if (due && !ngx_http_wsgi_drain_busy(life)) {
        ngx_http_wsgi_drain_quit(life);
        return;
    }

    if (!life->ready
        || life->barren
        || life->crowded
        || life->holding
        || life->wanted)
    {
        ngx_http_wsgi_life_wait(life);
    }
}


/*
 * Is this worker to go?  If it is for a reload, when all new workers are ready;
 * else when it is its turn, and the master can start another.  In either case
 * the others may need too long.
 */

static ngx_uint_t
ngx_http_wsgi_life_due(ngx_http_wsgi_life_t *life)
{
    ngx_uint_t         late;
    ngx_atomic_uint_t  lease;

    if (!life->holding
        && (!ngx_http_wsgi_life_has_master(life)
            || (!life->soon && ngx_http_wsgi_workers_checking())))
    {
        return 0;
    }

    if (life->draining && !life->holding) {
        return 1;
    }

    if (life->wanted && !life->holding) {

        if (!ngx_http_wsgi_workers_newest()) {
            return 0;
        }

        if (life->soon) {
            return 1;
        }

        lease = ngx_http_wsgi_workers_lease();

        if (life->lease != lease) {
            life->lease = lease;
            life->deadline = ngx_current_msec + ngx_http_wsgi_workers_patience()
                          + NGX_HTTP_WSGI_DRAIN_ALONE;
        }
    }

    late = (ngx_msec_int_t) (ngx_current_msec - life->deadline) >= 0;

    if (life->holding) {
        return late || ngx_http_wsgi_workers_complete();
    }

    return life->wanted
           && (late || ngx_http_wsgi_workers_complete())
           && ngx_http_wsgi_workers_take_lease(life->lease, late);
}


/* One that was killed has left its workers to another parent. */

static ngx_uint_t
ngx_http_wsgi_life_has_master(ngx_http_wsgi_life_t *life)
{
    return life->cycle != NULL && ngx_getppid() == ngx_parent;
}


void
ngx_http_wsgi_life_wait(ngx_http_wsgi_life_t *life)
{
    if (!life->timer.timer_set) {
        ngx_add_timer(&life->timer, NGX_HTTP_WSGI_LIFE_TICK);
    }
}
