
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The life of this worker, between _life.c, which knows when it has to go,
 * _drain.c, which knows how, and _accept.c, which knows where clients wait.
 */


#ifndef _NGX_HTTP_WSGI_LIFE_H_INCLUDED_
#define _NGX_HTTP_WSGI_LIFE_H_INCLUDED_


#include "ngx_http_wsgi_module.h"


/* how often a worker looks that is not simply ready, msec */

#define NGX_HTTP_WSGI_LIFE_TICK    20

/* when there are no others: for requests that take long to end, msec */

#define NGX_HTTP_WSGI_DRAIN_ALONE  60000


typedef struct {
    ngx_cycle_t            *cycle;
    ngx_event_handler_pt    channel_handler;
    ngx_event_t             timer;
    ngx_event_t             hook;
    ngx_msec_t              deadline;         /* of holding, wanted, failed,
                                                 barren */
    ngx_msec_t              crowd;            /* crowded not after that */
    ngx_msec_t              began;            /* draining */
    ngx_msec_t              patience;         /* with what is idle then */
    ngx_atomic_uint_t       lease;            /* of which deadline is */
    ngx_atomic_uint_t       first;            /* connections since it began */
    ngx_atomic_uint_t       recent;           /* those of late */
    ngx_atomic_uint_t       next_recent;      /* at next_time */
    ngx_msec_t              next_time;
    ngx_uint_t              failures;         /* of imports */
    ngx_uint_t              queue;            /* so many may wait at first */
    unsigned                ready:1;
    unsigned                failed:1;         /* to become so */
    unsigned                able:1;           /* to run some application */
    unsigned                barren:1;         /* it should be, but is not */
    unsigned                crowded:1;        /* more came than it could take */
    unsigned                refusing:1;       /* accepts no connections */
    unsigned                holding:1;        /* has been told to quit */
    unsigned                quitting:1;       /* and all others, too */
    unsigned                wanted:1;         /* has to be replaced */
    unsigned                soon:1;
    unsigned                draining:1;
    unsigned                held:1;           /* nobody is to be served */
} ngx_http_wsgi_life_t;


/* "cycle" is NULL if there is no master that would replace it. */

extern ngx_http_wsgi_life_t  ngx_http_wsgi_life;


/* _life.c: it looks again after a tick. */
void ngx_http_wsgi_life_wait(ngx_http_wsgi_life_t *life);


/* _accept.c */

/* Has it accept connections, or not, as it now is and as the others are. */
void ngx_http_wsgi_accept(ngx_http_wsgi_life_t *life);

/* A request has come: if others wait already, there may be enough of them. */
void ngx_http_wsgi_accept_request(ngx_http_wsgi_life_t *life);

/* How many may wait at the start. */
ngx_uint_t ngx_http_wsgi_accept_limit(ngx_http_wsgi_main_conf_t *mcf);


/* _drain.c */

/* From now on it leaves clients to others. */
void ngx_http_wsgi_drain_begin(ngx_http_wsgi_life_t *life);

/*
 * Is there a connection that its client may be about to use?  Such are idle
 * ones, and those of requests whose answer may have promised to keep it.  And,
 * when there are no others, one that would keep this worker from its end, and
 * so those from being served that wait to connect.
 */
ngx_uint_t ngx_http_wsgi_drain_busy(ngx_http_wsgi_life_t *life);

/*
 * Closes what is idle, and has nginx shut this worker down; or waits, since a
 * request has come.
 */
void ngx_http_wsgi_drain_quit(ngx_http_wsgi_life_t *life);


#endif /* _NGX_HTTP_WSGI_LIFE_H_INCLUDED_ */
