
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * One worker among others: how it comes and goes.  Included by
 * ngx_http_wsgi_module.h.
 *
 *   _workers.c    what the workers know of each other
 *   _accept.c     its listening sockets
 *   _life.c       when a worker serves, and when it has to go: at a reload, or
 *                 to be replaced
 *   _drain.c      how it goes without being missed
 *   _recycle.c    wsgi_max_*: when it has to be
 *   _hold.c       a worker lets clients wait
 */


#ifndef _NGX_HTTP_WSGI_WORKER_H_INCLUDED_
#define _NGX_HTTP_WSGI_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_wsgi_conf.h"


/* _workers.c */

typedef enum {
    NGX_HTTP_WSGI_WORKER_STARTING = 1,
    NGX_HTTP_WSGI_WORKER_READY,
    NGX_HTTP_WSGI_WORKER_DRAINING,
    NGX_HTTP_WSGI_WORKER_QUITTING                      /* not to be replaced */
} ngx_http_wsgi_worker_e;

/* The init_module of nginx: in the master, before workers are forked. */
ngx_int_t ngx_http_wsgi_workers_init_module(ngx_cycle_t *cycle);

/* 0: there is no master, or no memory for all this; the rest needs both. */
ngx_uint_t ngx_http_wsgi_workers_known(void);

/* Is this worker of the last reload? */
ngx_uint_t ngx_http_wsgi_workers_newest(void);

/* Have there been workers of other reloads before this one's? */
ngx_uint_t ngx_http_wsgi_workers_reloaded(void);

/* What others may need to become ready, msec. */
ngx_msec_t ngx_http_wsgi_workers_patience(void);

/*
 * Has some worker that serves the same listening sockets as this one, those of
 * "reuseport" included?  One of the generation before, or of the master that
 * this one's binary replaces.
 */
ngx_uint_t ngx_http_wsgi_workers_succeed(void);

/* Tells the others. */
void ngx_http_wsgi_workers_set(ngx_http_wsgi_worker_e state);

/*
 * Is a worker that cannot import so many applications worse than the one that
 * it replaces?  _set_failures() is what the next one is compared with, and
 * whether there is an application that this one can run.
 */
ngx_uint_t ngx_http_wsgi_workers_worse(ngx_uint_t failures);
void ngx_http_wsgi_workers_set_failures(ngx_uint_t failures, ngx_uint_t able);

/* Is somebody ready, of whatever reload, who can run one? */
ngx_uint_t ngx_http_wsgi_workers_able(void);

/* How many are ready and alive: of the last reload, if "newest", or at all. */
ngx_uint_t ngx_http_wsgi_workers_ready(ngx_uint_t newest);

/* Are all workers of the last reload ready, or will they never be? */
ngx_uint_t ngx_http_wsgi_workers_complete(void);

/*
 * The master, if this is one, has "wsgi_check" import the applications: it
 * starts no workers meanwhile.
 */
void ngx_http_wsgi_workers_set_checking(ngx_uint_t on);
ngx_uint_t ngx_http_wsgi_workers_checking(void);

/*
 * The right to drain.  It is a worker's until the one that replaces it, in the
 * same slot, ends it.  _lease() is its present value, another one each time;
 * _take_lease() takes it if it has that value still, and nobody has it or
 * "force" is set; 1: taken.
 */
ngx_atomic_uint_t ngx_http_wsgi_workers_lease(void);
ngx_uint_t ngx_http_wsgi_workers_take_lease(ngx_atomic_uint_t lease,
    ngx_uint_t force);
void ngx_http_wsgi_workers_end_lease(void);

/* Has it begin anew if this slot has it; takes it if nobody has. */
void ngx_http_wsgi_workers_renew_lease(void);


/* _accept.c */

/* Has it sockets that others have not?  Those of "reuseport". */
ngx_uint_t ngx_http_wsgi_accepts_alone(ngx_cycle_t *cycle);


/* _life.c */

/* In a new worker, when its Python has begun to start. */
void ngx_http_wsgi_life_init(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);

/* Python has started and imported what it can, but for so many applications. */
void ngx_http_wsgi_life_imported(ngx_uint_t failures);

/*
 * This worker has to be replaced: it logs the reason, drains when it is its
 * turn, and quits.  The second call can only add flags, NWSGI_DRAIN_*.
 */
void ngx_http_wsgi_drain(const char *reason, ngx_uint_t flags);

/* Held: it accepts no connections, and keeps none. */
void ngx_http_wsgi_life_hold(ngx_uint_t on);

/* python, go: host->drain, see nwsgi.h */
void ngx_http_wsgi_host_drain(const char *reason, size_t len, uint32_t flags);


/* _drain.c */

/* At configuration: requests of a worker that drains are the last ones. */
ngx_int_t ngx_http_wsgi_drain_add_handler(ngx_conf_t *cf);

/* That handler; before a head is sent, too, for those that have begun. */
ngx_int_t ngx_http_wsgi_drain_handler(ngx_http_request_t *r);


/* _hold.c */

/* What clients have to use idle connections when there is no time, msec. */
#define NGX_HTTP_WSGI_HOLD_IDLE  300

/* python, go: host->hold, see nwsgi.h */
void ngx_http_wsgi_host_hold(uint32_t on);

/* The message of host->hold() has come. */
void ngx_http_wsgi_hold(void);

/*
 * Closes clients' connections that are idle, and those not used so far if
 * "unused"; but for those on which a request has come that was not read yet:
 * how many.
 */
ngx_uint_t ngx_http_wsgi_close_idle(ngx_cycle_t *cycle, ngx_uint_t unused);


/* A reason is not longer than this, its NUL included. */
#define NGX_HTTP_WSGI_MAX_REASON  256


/* _recycle.c: wsgi_max_* */

/* This worker serves: its limits are drawn. */
void ngx_http_wsgi_recycle_start(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);

/* An application has ended a request. */
void ngx_http_wsgi_recycle_request(void);


#endif /* _NGX_HTTP_WSGI_WORKER_H_INCLUDED_ */
