
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The slots of wsgi_zone, one for each worker that lives: how a worker takes
 * its own, and what it does with those of workers that have died.
 */


#include "ngx_http_wsgi_zone.h"


/* how often a worker looks, msec */

#define NGX_HTTP_WSGI_ZONE_TICK  1000


static ngx_http_wsgi_slot_t *ngx_http_wsgi_claim_slot(
    ngx_http_wsgi_zone_t *zone);
static ngx_int_t ngx_http_wsgi_try_slot(ngx_http_wsgi_slot_t *slot);
static void ngx_http_wsgi_damaged(void);
static void ngx_http_wsgi_sweep_handler(ngx_event_t *ev);


ngx_http_wsgi_zone_t  *ngx_http_wsgi_zone;
ngx_http_wsgi_slot_t  *ngx_http_wsgi_slot;

static ngx_event_t       ngx_http_wsgi_sweep;
static ngx_connection_t  ngx_http_wsgi_nobody;      /* whom debug logs name */


void
ngx_http_wsgi_enter_zone(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_http_wsgi_zone_t  *zone;

    zone = mcf->zone ? mcf->zone->data : NULL;

    /* a single process has nobody beside it or after it */

    if (zone == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return;
    }

    ngx_http_wsgi_zone = zone;
    ngx_http_wsgi_slot = ngx_http_wsgi_claim_slot(zone);

    if (ngx_http_wsgi_slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "wsgi: zone \"%V\" has no slot for this worker: if it "
                      "crashes, nothing will be said of its requests",
                      &mcf->zone->shm.name);

    } else {
        ngx_http_wsgi_slot->unlisted = 0;

        ngx_http_wsgi_init_flights(cycle);

        ngx_http_wsgi_slot->pid = ngx_pid;
    }

    ngx_http_wsgi_nobody.fd = (ngx_socket_t) -1;

    ngx_http_wsgi_sweep.handler = ngx_http_wsgi_sweep_handler;
    ngx_http_wsgi_sweep.data = &ngx_http_wsgi_nobody;
    ngx_http_wsgi_sweep.log = cycle->log;
    ngx_http_wsgi_sweep.cancelable = 1;

    ngx_http_wsgi_sweep_handler(&ngx_http_wsgi_sweep);
}


static ngx_http_wsgi_slot_t *
ngx_http_wsgi_claim_slot(ngx_http_wsgi_zone_t *zone)
{
    ngx_uint_t             i;
    ngx_http_wsgi_slot_t  *slot;

    for (i = 0; i < zone->slots; i++) {
        slot = ngx_http_wsgi_zone_slot(zone, i);

        if (ngx_http_wsgi_try_slot(slot) == NGX_OK) {
            return slot;
        }
    }

    return NULL;
}


/*
 * NGX_OK: the slot is this worker's, until it unlocks it, and is empty.
 * NGX_BUSY: it is another's.  NGX_ERROR: nobody can have it; logged.
 */

static ngx_int_t
ngx_http_wsgi_try_slot(ngx_http_wsgi_slot_t *slot)
{
    int  rc;

    if (slot->before != NGX_HTTP_WSGI_SLOT_GUARD
        || slot->after != NGX_HTTP_WSGI_SLOT_GUARD)
    {
        ngx_http_wsgi_damaged();
        return NGX_ERROR;
    }

    rc = pthread_mutex_trylock(&slot->alive);

    switch (rc) {

    case 0:
        return NGX_OK;

    case EBUSY:
        return NGX_BUSY;

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(&slot->alive);

        /* if this worker dies meanwhile, the next one begins again */

        if (slot->pid) {
            ngx_http_wsgi_report_flights(slot, ngx_http_wsgi_zone->flights);
            slot->pid = 0;
        }

        return NGX_OK;

    default:
        ngx_http_wsgi_damaged();
        return NGX_ERROR;
    }
}


static void
ngx_http_wsgi_damaged(void)
{
    static ngx_uint_t  told;

    if (told) {
        return;
    }

    told = 1;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "wsgi: \"wsgi_zone\" has been overwritten, by an application "
                  "or by a worker process that crashed: workers serve without "
                  "it, and if one crashes, its requests may not be reported; "
                  "restart nginx, or change the size of the zone and reload");
}


/*
 * The lock stays, until the process is no more: threads that do not come back
 * may still write to the slot, and nobody else is to have it.
 */

void
ngx_http_wsgi_leave_zone(void)
{
    if (ngx_http_wsgi_slot) {
        ngx_http_wsgi_slot->pid = 0;
    }
}


void
ngx_http_wsgi_sweep_zone(void)
{
    ngx_uint_t             i;
    ngx_http_wsgi_slot_t  *slot;

    if (ngx_http_wsgi_zone == NULL) {
        return;
    }

    for (i = 0; i < ngx_http_wsgi_zone->slots; i++) {
        slot = ngx_http_wsgi_zone_slot(ngx_http_wsgi_zone, i);

        if (slot == ngx_http_wsgi_slot
            || (slot->pid == 0 && slot->before == NGX_HTTP_WSGI_SLOT_GUARD))
        {
            continue;
        }

        if (ngx_http_wsgi_try_slot(slot) == NGX_OK) {
            (void) pthread_mutex_unlock(&slot->alive);
        }
    }
}


static void
ngx_http_wsgi_sweep_handler(ngx_event_t *ev)
{
    ngx_http_wsgi_sweep_zone();

    ngx_add_timer(ev, NGX_HTTP_WSGI_ZONE_TICK);
}
