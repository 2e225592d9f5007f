
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the workers of all generations know of each other, so that they take
 * turns: memory that the master maps once, and that all inherit.  It is not in
 * wsgi_zone, since a reload may replace that by one of another size.
 *
 * A worker has the entry of its slot in ngx_processes[], which its replacement
 * gets as well, and nobody else while it lives.  It alone writes there.  One
 * that was killed cannot say so: the others look whether its process exists.
 *
 * An application can write there, too, by mistake or on purpose.  So the master
 * reads nothing of it that it acts upon: it keeps the numbers for itself, and
 * writes them anew at each reload, which mends them.  Whatever stands in the
 * entry of a worker, others may wait for it in vain, or not at all, no more.
 */


#include "ngx_http_wsgi_module.h"

#include <sys/mman.h>


/* for the start of Python, beside the imports */

#define NGX_HTTP_WSGI_WORKERS_GRACE  5000

/* of who has no predecessor in its generation */

#define NGX_HTTP_WSGI_WORKERS_ANY    NGX_MAX_UINT32_VALUE

/* a lease is the slot of its holder, and a number that makes each another */

#define NGX_HTTP_WSGI_LEASE_SLOTS    (2 * NGX_MAX_PROCESSES)
#define NGX_HTTP_WSGI_LEASE_FREE     (NGX_HTTP_WSGI_LEASE_SLOTS - 1)


typedef struct {
    ngx_atomic_t                    pid;
    ngx_atomic_t                    generation;
    ngx_atomic_t                    state;
    ngx_atomic_t                    failures;          /* when it was ready */
    ngx_atomic_t                    able;              /* not all failed */
} ngx_http_wsgi_worker_t;


typedef struct {
    ngx_atomic_t                    generation;        /* of the newest ones */
    ngx_atomic_t                    workers;           /* of that generation */
    ngx_atomic_t                    patience;          /* with it, msec */
    ngx_atomic_t                    lease;
    ngx_atomic_t                    checking;          /* pid of the master */
    ngx_http_wsgi_worker_t          worker[NGX_MAX_PROCESSES];
} ngx_http_wsgi_workers_t;


static void ngx_http_wsgi_workers_clean(ngx_http_wsgi_workers_t *w);
static ngx_uint_t ngx_http_wsgi_workers_serves(ngx_http_wsgi_worker_t *w);
static ngx_uint_t ngx_http_wsgi_workers_exists(ngx_atomic_uint_t pid);


/* the master's, inherited; NULL, 0: there is none */

static ngx_http_wsgi_workers_t  *ngx_http_wsgi_workers;
static ngx_atomic_uint_t         ngx_http_wsgi_generation;
static ngx_uint_t                ngx_http_wsgi_nworkers;     /* of it */
static ngx_uint_t                ngx_http_wsgi_previous;     /* and before */
static ngx_pid_t                 ngx_http_wsgi_old_master;


ngx_int_t
ngx_http_wsgi_workers_init_module(ngx_cycle_t *cycle)
{
    void                       *p;
    ngx_core_conf_t            *ccf;
    ngx_http_wsgi_workers_t    *w;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wsgi_module);

    if (mcf == NULL || mcf->apps.nelts == 0 || ngx_test_config) {
        return NGX_OK;
    }

    if (ngx_http_wsgi_workers == NULL) {
        p = mmap(NULL, sizeof(ngx_http_wsgi_workers_t), PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_SHARED, -1, 0);

        if (p == MAP_FAILED) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "mmap() failed, workers will not wait for each "
                          "other");
            return NGX_OK;
        }

        ngx_http_wsgi_workers = p;
    }

    w = ngx_http_wsgi_workers;
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    ngx_http_wsgi_generation++;
    ngx_http_wsgi_previous = ngx_http_wsgi_nworkers;
    ngx_http_wsgi_nworkers = ccf->worker_processes;

    ngx_http_wsgi_workers_clean(w);

    w->workers = ngx_http_wsgi_nworkers;
    w->patience = ngx_http_wsgi_imports_time(mcf, NGX_HTTP_WSGI_WORKERS_GRACE);
    w->lease = NGX_HTTP_WSGI_LEASE_FREE;
    w->checking = 0;

    ngx_memory_barrier();

    w->generation = ngx_http_wsgi_generation;

    /* this is the master: its parent has passed the listening sockets on */

    ngx_http_wsgi_old_master = ngx_inherited ? ngx_parent : 0;

    return NGX_OK;
}


/*
 * Only entries that can be true are left: of processes that there are, and of
 * generations that have been.  A replacement that has not written its own yet
 * does so anew.
 */

static void
ngx_http_wsgi_workers_clean(ngx_http_wsgi_workers_t *w)
{
    ngx_int_t          i;
    ngx_atomic_uint_t  pid;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        pid = w->worker[i].pid;

        if (i < ngx_last_process && pid
            && pid == (ngx_atomic_uint_t) ngx_processes[i].pid
            && w->worker[i].generation < ngx_http_wsgi_generation)
        {
            continue;
        }

        /* the rest of the pages stays untouched */

        if (pid || w->worker[i].generation || w->worker[i].state) {
            ngx_memzero((void *) &w->worker[i],
                        sizeof(ngx_http_wsgi_worker_t));
        }
    }
}


/*
 * With "reuseport" each worker has a socket of its own, which is that of one of
 * the generation before, if there were as many.
 */

ngx_uint_t
ngx_http_wsgi_workers_succeed(void)
{
    ngx_int_t                i;
    ngx_http_wsgi_worker_t  *w;

    if (ngx_http_wsgi_old_master > 1
        && ngx_http_wsgi_workers_exists(ngx_http_wsgi_old_master))
    {
        return 1;
    }

    if (ngx_http_wsgi_previous < ngx_http_wsgi_nworkers) {
        return 0;
    }

    w = ngx_http_wsgi_workers->worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        if (w[i].generation < ngx_http_wsgi_generation
            && ngx_http_wsgi_workers_serves(&w[i]))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_wsgi_workers_serves(ngx_http_wsgi_worker_t *w)
{
    return w->state == NGX_HTTP_WSGI_WORKER_READY
           && ngx_http_wsgi_workers_exists(w->pid);
}


static ngx_uint_t
ngx_http_wsgi_workers_exists(ngx_atomic_uint_t pid)
{
    /* 0, and what is negative as a pid, would be groups of processes */

    if (pid == 0 || pid > NGX_MAX_INT32_VALUE) {
        return 0;
    }

    return kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH;
}


ngx_uint_t
ngx_http_wsgi_workers_known(void)
{
    return ngx_http_wsgi_workers != NULL && ngx_process == NGX_PROCESS_WORKER;
}


ngx_uint_t
ngx_http_wsgi_workers_newest(void)
{
    return ngx_http_wsgi_generation == ngx_http_wsgi_workers->generation;
}


ngx_uint_t
ngx_http_wsgi_workers_reloaded(void)
{
    return ngx_http_wsgi_generation > 1;
}


ngx_msec_t
ngx_http_wsgi_workers_patience(void)
{
    return ngx_http_wsgi_workers->patience;
}


void
ngx_http_wsgi_workers_set(ngx_http_wsgi_worker_e state)
{
    ngx_http_wsgi_worker_t  *w;

    w = &ngx_http_wsgi_workers->worker[ngx_process_slot];

    if (w->generation != ngx_http_wsgi_generation) {
        w->failures = NGX_HTTP_WSGI_WORKERS_ANY;
    }

    w->state = state;

    ngx_memory_barrier();

    w->pid = ngx_pid;
    w->generation = ngx_http_wsgi_generation;
}


ngx_uint_t
ngx_http_wsgi_workers_worse(ngx_uint_t failures)
{
    return failures > ngx_http_wsgi_workers->worker[ngx_process_slot].failures;
}


void
ngx_http_wsgi_workers_set_failures(ngx_uint_t failures, ngx_uint_t able)
{
    ngx_http_wsgi_worker_t  *w;

    w = &ngx_http_wsgi_workers->worker[ngx_process_slot];

    w->failures = failures;
    w->able = able;
}


ngx_uint_t
ngx_http_wsgi_workers_able(void)
{
    ngx_int_t                i;
    ngx_http_wsgi_worker_t  *w;

    w = ngx_http_wsgi_workers->worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if (w[i].able && ngx_http_wsgi_workers_serves(&w[i])) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_wsgi_workers_ready(ngx_uint_t newest)
{
    ngx_int_t                i;
    ngx_uint_t               n;
    ngx_http_wsgi_worker_t  *w;

    n = 0;
    w = ngx_http_wsgi_workers->worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        if ((!newest || w[i].generation == ngx_http_wsgi_workers->generation)
            && ngx_http_wsgi_workers_serves(&w[i]))
        {
            n++;
        }
    }

    return n;
}


ngx_uint_t
ngx_http_wsgi_workers_complete(void)
{
    ngx_int_t                i;
    ngx_uint_t               quitting, staying;
    ngx_http_wsgi_worker_t  *w;

    quitting = 0;
    staying = 0;
    w = ngx_http_wsgi_workers->worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        if (w[i].generation != ngx_http_wsgi_workers->generation) {
            continue;
        }

        if (w[i].state == NGX_HTTP_WSGI_WORKER_QUITTING) {
            quitting = 1;

        } else if (w[i].state != NGX_HTTP_WSGI_WORKER_DRAINING
                   && ngx_http_wsgi_workers_exists(w[i].pid))
        {
            staying = 1;
        }
    }

    /*
     * nginx ends: there will be no others.  But those that WINCH has ended are
     * of the generation of those that HUP starts then.
     */

    if (quitting && !staying) {
        return 1;
    }

    return ngx_http_wsgi_workers_ready(1) >= ngx_http_wsgi_workers->workers;
}


void
ngx_http_wsgi_workers_set_checking(ngx_uint_t on)
{
    if (ngx_http_wsgi_workers) {
        ngx_http_wsgi_workers->checking = on ? ngx_pid : 0;
    }
}


ngx_uint_t
ngx_http_wsgi_workers_checking(void)
{
    ngx_atomic_uint_t  pid;

    pid = ngx_http_wsgi_workers->checking;

    return pid == (ngx_atomic_uint_t) ngx_parent
           && ngx_http_wsgi_workers_exists(pid);
}


ngx_atomic_uint_t
ngx_http_wsgi_workers_lease(void)
{
    return ngx_http_wsgi_workers->lease;
}


ngx_uint_t
ngx_http_wsgi_workers_take_lease(ngx_atomic_uint_t lease, ngx_uint_t force)
{
    ngx_atomic_uint_t  slot;

    slot = lease % NGX_HTTP_WSGI_LEASE_SLOTS;

    if (slot != NGX_HTTP_WSGI_LEASE_FREE && !force) {
        return 0;
    }

    return ngx_atomic_cmp_set(&ngx_http_wsgi_workers->lease, lease,
                              lease - slot + NGX_HTTP_WSGI_LEASE_SLOTS
                              + ngx_process_slot);
}


void
ngx_http_wsgi_workers_end_lease(void)
{
    ngx_atomic_uint_t  lease, slot;

    lease = ngx_http_wsgi_workers->lease;
    slot = lease % NGX_HTTP_WSGI_LEASE_SLOTS;

    if (slot == (ngx_atomic_uint_t) ngx_process_slot) {
        (void) ngx_atomic_cmp_set(&ngx_http_wsgi_workers->lease, lease,
                                  lease - slot + NGX_HTTP_WSGI_LEASE_FREE);
    }
}


void
ngx_http_wsgi_workers_renew_lease(void)
{
    ngx_atomic_uint_t  lease, slot;

    lease = ngx_http_wsgi_workers->lease;
    slot = lease % NGX_HTTP_WSGI_LEASE_SLOTS;

    (void) ngx_http_wsgi_workers_take_lease(lease,
                                slot == (ngx_atomic_uint_t) ngx_process_slot);
}
