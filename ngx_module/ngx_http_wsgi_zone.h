
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the workers know of each other, in shared memory.
 *
 *   _zone.c      wsgi_zone, as the master makes it
 *   _slot.c      its slots: one for each worker that lives
 *   _flight.c    a worker's requests in flight, and what is said of them when
 *                the worker has died
 *
 * Every function runs on the loop, but for those that say "python".
 */


#ifndef _NGX_HTTP_WSGI_ZONE_H_INCLUDED_
#define _NGX_HTTP_WSGI_ZONE_H_INCLUDED_


#include "ngx_http_wsgi_module.h"


/* Raised whenever the layout below changes. */
#define NGX_HTTP_WSGI_ZONE_VERSION  2

/* requests of a worker that have an entry in the zone made by default */
#define NGX_HTTP_WSGI_ZONE_FLIGHTS  256


/*
 * A request in flight, see _flight.c for who writes what.  "serial" is stored
 * last and cleared first, so that an entry with one is whole whenever its
 * worker dies; the same goes for "where" and its length.
 */

#define NGX_HTTP_WSGI_FLIGHT_TEXT   416
#define NGX_HTTP_WSGI_FLIGHT_WHERE  200

typedef enum {
    NGX_HTTP_WSGI_FLIGHT_ID = 0,
    NGX_HTTP_WSGI_FLIGHT_APP,
    NGX_HTTP_WSGI_FLIGHT_POOL,
    NGX_HTTP_WSGI_FLIGHT_CLIENT,
    NGX_HTTP_WSGI_FLIGHT_METHOD,
    NGX_HTTP_WSGI_FLIGHT_URI,
    NGX_HTTP_WSGI_FLIGHT_NTEXTS
} ngx_http_wsgi_flight_e;

struct ngx_http_wsgi_flight_s {
    uint64_t               serial;            /* of the block; 0: free */
    uint64_t               submitted;         /* msec */
    uint64_t               begun;             /* msec, 0: queued; python */
    uint64_t               thread;            /* get_ident(); python */
    uint64_t               connection;        /* as in the error log */
    uint32_t               ended;             /* the application; python */
    uint32_t               answered;          /* the client has it all */
    uint32_t               where_len;
    uint16_t               len[NGX_HTTP_WSGI_FLIGHT_NTEXTS];
    u_char                 text[NGX_HTTP_WSGI_FLIGHT_TEXT];
    u_char                 where[NGX_HTTP_WSGI_FLIGHT_WHERE];
};


/*
 * A worker.  It holds "alive", a robust mutex, from its start to its end: the
 * kernel tells whoever tries the lock next that the owner has died, and tells
 * it to one process only.  So no pid has to be asked after, which could be
 * another process's by now.
 *
 * Any process that has the zone may write anywhere in it, if only because it is
 * about to crash: no number of a slot is trusted, and the mutex is not touched
 * unless what stands around it is whole.
 */

#define NGX_HTTP_WSGI_SLOT_GUARD  0x5a6c6f742d677561ull

typedef struct {
    uint64_t                 before;          /* NGX_HTTP_WSGI_SLOT_GUARD */
    pthread_mutex_t          alive;
    uint64_t                 after;           /* the same */
    ngx_pid_t                pid;             /* 0: nobody's */
    uint64_t                 unlisted;        /* requests without an entry */
    ngx_http_wsgi_flight_t   flights[];
} ngx_http_wsgi_slot_t;


/*
 * How the zone is laid out.  It has pages at the zone's beginning that are no
 * longer shared: each process has a copy, and a worker gets the master's.
 */

typedef struct {
    uint32_t                 version;
    uint32_t                 slots;
    uint32_t                 flights;         /* of each slot */
    size_t                   slot_size;
    u_char                  *first;           /* slot: they are shared */
} ngx_http_wsgi_zone_t;


/* The zone of this worker, or NULL: it has none. */
extern ngx_http_wsgi_zone_t  *ngx_http_wsgi_zone;

/* This worker's slot, or NULL: it has none. */
extern ngx_http_wsgi_slot_t  *ngx_http_wsgi_slot;


static ngx_inline ngx_http_wsgi_slot_t *
ngx_http_wsgi_zone_slot(ngx_http_wsgi_zone_t *zone, ngx_uint_t i)
{
    return (ngx_http_wsgi_slot_t *) (zone->first + i * zone->slot_size);
}


/* _zone.c */

/* The setter of wsgi_zone. */
char *ngx_http_wsgi_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* After http{}, with applications: the zone of who has not named one. */
ngx_int_t ngx_http_wsgi_add_zone(ngx_conf_t *cf);

/* When the number of workers is known: how large the zone has to be. */
char *ngx_http_wsgi_init_zone_conf(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);

/* _slot.c */

/* In a worker, before anything that may crash: takes a slot. */
void ngx_http_wsgi_enter_zone(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);

/* The worker ends as it should: there is nothing to report. */
void ngx_http_wsgi_leave_zone(void);

/*
 * Looks for workers that have died since the last look, reports what they
 * have lost, and frees their slots.  Called once a second by a timer.
 */
void ngx_http_wsgi_sweep_zone(void);


/* _flight.c */

/* In a worker that has got its slot. */
void ngx_http_wsgi_init_flights(ngx_cycle_t *cycle);

/*
 * An entry for the request that "ctx" is about to submit.  It lives until the
 * request and the job have let it go, in either order.
 */
void ngx_http_wsgi_take_off(ngx_http_wsgi_ctx_t *ctx);

/* The client has its answer, or has gone; more than once does no harm. */
void ngx_http_wsgi_flight_answered(ngx_http_wsgi_ctx_t *ctx);

/* The job is freed. */
void ngx_http_wsgi_flight_over(ngx_http_wsgi_job_t *job);

/* python.  The application is about to be called; has returned. */
void ngx_http_wsgi_flight_begun(ngx_http_wsgi_job_t *job, uint64_t now);
void ngx_http_wsgi_flight_ended(ngx_http_wsgi_job_t *job);

/* where() of the host table. */
void ngx_http_wsgi_host_where(uint64_t thread, const char *text, size_t len);

/* Writes to the log what was in flight in a slot whose worker has died. */
void ngx_http_wsgi_report_flights(ngx_http_wsgi_slot_t *slot, ngx_uint_t n);


#endif /* _NGX_HTTP_WSGI_ZONE_H_INCLUDED_ */
