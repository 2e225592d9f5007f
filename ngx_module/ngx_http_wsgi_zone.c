
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_zone: shared memory with a slot for each worker, as the master makes it.
 *
 * nginx makes it in the master and hands it on at a reload if its name and
 * its size stay the same, while old workers still use it; so its layout is
 * what the one who made it has written at its beginning, whatever the present
 * configuration would make of it.
 *
 * What a worker writes is an application's to write.  The master, root as a
 * rule, looks into each zone, too: when a worker has ended, nginx unlocks the
 * allocator of each, by a pointer that stands in it.  So all that is before the
 * slots, nginx's part and the layout, is taken out of the shared memory as soon
 * as it has been written.
 */


#include "ngx_http_wsgi_zone.h"

#include <sys/mman.h>


/* of nginx's allocator, beside what it needs for each page */

#define NGX_HTTP_WSGI_ZONE_PAGES  8


static ngx_uint_t ngx_http_wsgi_zone_wants(ngx_http_wsgi_main_conf_t *mcf,
    ngx_uint_t *threads);
static size_t ngx_http_wsgi_slot_size(ngx_uint_t flights);
static ngx_int_t ngx_http_wsgi_init_zone(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_wsgi_own(u_char *p, size_t size, ngx_log_t *log);
static ngx_uint_t ngx_http_wsgi_fit_zone(ngx_shm_zone_t *shm_zone,
    ngx_http_wsgi_main_conf_t *mcf);
static ngx_int_t ngx_http_wsgi_init_slots(ngx_http_wsgi_zone_t *zone,
    ngx_log_t *log);


char *
ngx_http_wsgi_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_main_conf_t *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty name";
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (NGX_HTTP_WSGI_ZONE_PAGES * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small", &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->zone = ngx_shared_memory_add(cf, &value[1], size,
                                      &ngx_http_wsgi_module);
    if (mcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zone->init = ngx_http_wsgi_init_zone;
    mcf->zone->data = mcf;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_wsgi_add_zone(ngx_conf_t *cf)
{
    ngx_str_t                   name = ngx_string("ngx_wsgi");
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    if (mcf->zone) {
        return NGX_OK;
    }

    mcf->zone = ngx_shared_memory_add(cf, &name, 0, &ngx_http_wsgi_module);
    if (mcf->zone == NULL) {
        return NGX_ERROR;
    }

    mcf->zone->init = ngx_http_wsgi_init_zone;
    mcf->zone->data = mcf;

    return NGX_OK;
}


char *
ngx_http_wsgi_init_zone_conf(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf)
{
    size_t            size;
    ngx_uint_t        flights, threads;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* those of a reload, and whom requests keep from one before */

    mcf->zone_slots = 2 * ccf->worker_processes + 2;

    if (mcf->zone->shm.size) {
        return NGX_CONF_OK;
    }

    flights = ngx_http_wsgi_zone_wants(mcf, &threads);

    size = ngx_pagesize
           + mcf->zone_slots * ngx_http_wsgi_slot_size(flights);

    size += size / ngx_pagesize * sizeof(ngx_slab_page_t)
            + NGX_HTTP_WSGI_ZONE_PAGES * ngx_pagesize;

    mcf->zone->shm.size = ngx_align(size, ngx_pagesize);

    return NGX_CONF_OK;
}


/* How many requests a worker may have in flight, within reason. */

static ngx_uint_t
ngx_http_wsgi_zone_wants(ngx_http_wsgi_main_conf_t *mcf, ngx_uint_t *threads)
{
    ngx_uint_t              i, n;
    ngx_http_wsgi_pool_t  **pools;

    n = 0;
    *threads = 0;

    pools = mcf->pools.elts;

    for (i = 0; i < mcf->pools.nelts; i++) {
        *threads += pools[i]->threads;
        n += pools[i]->threads + pools[i]->queue;
    }

    return ngx_max(ngx_min(n, NGX_HTTP_WSGI_ZONE_FLIGHTS), *threads);
}


static size_t
ngx_http_wsgi_slot_size(ngx_uint_t flights)
{
    return ngx_align(sizeof(ngx_http_wsgi_slot_t)
                     + flights * sizeof(ngx_http_wsgi_flight_t), 64);
}


static ngx_int_t
ngx_http_wsgi_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                      size;
    ngx_log_t                  *log;
    ngx_uint_t                  flights;
    ngx_slab_pool_t            *shpool;
    ngx_http_wsgi_zone_t       *zone;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = shm_zone->data;
    zone = data;
    log = shm_zone->shm.log;

    if (zone) {

        if (zone->version != NGX_HTTP_WSGI_ZONE_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "\"wsgi_zone\" \"%V\" was made by another version "
                          "of this module, nginx has to be restarted",
                          &shm_zone->shm.name);
            return NGX_ERROR;
        }

        shm_zone->data = zone;

        return NGX_OK;
    }

    shm_zone->data = NULL;

    /* a zone is declared, and nobody is there to use it */

    if (mcf->zone_slots == 0) {
        return NGX_OK;
    }

    flights = ngx_http_wsgi_fit_zone(shm_zone, mcf);

    if (flights == 0) {
        return NGX_ERROR;
    }

    size = ngx_http_wsgi_slot_size(flights);

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    /* as much as that is in pages of its own */

    zone = ngx_slab_alloc(shpool, ngx_pagesize + mcf->zone_slots * size);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->version = NGX_HTTP_WSGI_ZONE_VERSION;
    zone->slots = mcf->zone_slots;
    zone->flights = flights;
    zone->slot_size = size;
    zone->first = (u_char *) zone + ngx_pagesize;

    shm_zone->data = zone;

    if (ngx_http_wsgi_init_slots(zone, log) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_wsgi_own(shm_zone->shm.addr,
                             zone->first - shm_zone->shm.addr, log);
}


/* These pages are not shared any more, and have what they had. */

static ngx_int_t
ngx_http_wsgi_own(u_char *p, size_t size, ngx_log_t *log)
{
    void  *copy;

    copy = ngx_alloc(size, log);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, p, size);

    if (mmap(p, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANON|MAP_FIXED,
             -1, 0)
        == MAP_FAILED)
    {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"wsgi_zone\": mmap(%uz) failed", size);
        ngx_free(copy);
        return NGX_ERROR;
    }

    ngx_memcpy(p, copy, size);
    ngx_free(copy);

    return NGX_OK;
}


/* How many entries there is a place for in each slot.  0: too few, logged. */

static ngx_uint_t
ngx_http_wsgi_fit_zone(ngx_shm_zone_t *shm_zone,
    ngx_http_wsgi_main_conf_t *mcf)
{
    size_t      size, slot;
    ngx_uint_t  flights, threads, wants;

    wants = ngx_http_wsgi_zone_wants(mcf, &threads);

    size = shm_zone->shm.size - NGX_HTTP_WSGI_ZONE_PAGES * ngx_pagesize;
    size -= size / ngx_pagesize * sizeof(ngx_slab_page_t);

    slot = size / mcf->zone_slots;

    flights = slot / sizeof(ngx_http_wsgi_flight_t);
    flights = ngx_min(flights, wants);

    while (flights && ngx_http_wsgi_slot_size(flights) > slot) {
        flights--;
    }

    if (flights < threads) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "\"wsgi_zone\" \"%V\" is too small: %uz bytes have no "
                      "place for %ui workers, those of a reload included, of "
                      "%ui threads each",
                      &shm_zone->shm.name, shm_zone->shm.size,
                      mcf->zone_slots, threads);
        return 0;
    }

    return flights;
}


static ngx_int_t
ngx_http_wsgi_init_slots(ngx_http_wsgi_zone_t *zone, ngx_log_t *log)
{
    int                    rc;
    ngx_uint_t             i;
    pthread_mutexattr_t    attr;
    ngx_http_wsgi_slot_t  *slot;

    rc = pthread_mutexattr_init(&attr);

    if (rc == 0) {
        rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    }

    if (rc == 0) {
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }

    for (i = 0; i < zone->slots && rc == 0; i++) {
        slot = ngx_http_wsgi_zone_slot(zone, i);

        ngx_memzero(slot, sizeof(ngx_http_wsgi_slot_t));

        slot->before = NGX_HTTP_WSGI_SLOT_GUARD;
        slot->after = NGX_HTTP_WSGI_SLOT_GUARD;

        rc = pthread_mutex_init(&slot->alive, &attr);
    }

    if (rc != 0) {
        ngx_log_error(NGX_LOG_EMERG, log, rc,
                      "\"wsgi_zone\": a robust mutex cannot be made");
        return NGX_ERROR;
    }

    (void) pthread_mutexattr_destroy(&attr);

    return NGX_OK;
}
