
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What has to be true of a process before Go and Python come into it.  What is
 * not is said here, in words: Go would say it by abort().
 */


#include "ngx_http_wsgi_module.h"


/*
 * Threads besides those of the pools: Python's main thread, the watch, Go's
 * own, and some to take the place of those that do not come back.
 */

#define NGX_HTTP_WSGI_MORE_THREADS  16

/* Descriptors for the poller of Go, and for Python to import files with. */

#define NGX_HTTP_WSGI_DESCRIPTORS  16


static ngx_int_t ngx_http_wsgi_check_user(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_wsgi_check_descriptors(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_wsgi_check_threads(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);
static int ngx_http_wsgi_try_threads(pthread_t *threads, ngx_uint_t wanted,
    ngx_uint_t *n);
static void *ngx_http_wsgi_try_thread(void *data);


ngx_int_t
ngx_http_wsgi_check_limits(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    struct sigaction  sa;

    /*
     * A file that meets RLIMIT_FSIZE is an error of write(), and not the end
     * of the worker: python has it so, too
     */

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_handler = SIG_IGN;
    sigemptyset(&sa.sa_mask);

    if (sigaction(SIGXFSZ, &sa, NULL) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "sigaction(SIGXFSZ) failed");
        return NGX_ERROR;
    }

    if (ngx_http_wsgi_check_user(cycle) != NGX_OK
        || ngx_http_wsgi_check_descriptors(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_wsgi_check_threads(cycle, mcf);
}


/* Without a master nginx stays root, whatever "user" says. */

static ngx_int_t
ngx_http_wsgi_check_user(ngx_cycle_t *cycle)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0 || ccf->user == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "Python does not run as root, and \"master_process off\" "
                  "does not switch to user \"%s\": start nginx as that user, "
                  "or say \"user root;\"", ccf->username);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_wsgi_check_descriptors(ngx_cycle_t *cycle)
{
    ngx_fd_t    fds[NGX_HTTP_WSGI_DESCRIPTORS];
    ngx_err_t   err;
    ngx_uint_t  i, n;

    err = 0;

    for (n = 0; n < NGX_HTTP_WSGI_DESCRIPTORS; n++) {
        fds[n] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

        if (fds[n] == -1) {
            err = ngx_errno;
            break;
        }
    }

    for (i = 0; i < n; i++) {
        (void) close(fds[i]);
    }

    if (err == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, err,
                  "no more than %ui of the %d descriptors that Python needs to "
                  "start can be opened: see \"worker_rlimit_nofile\"",
                  n, NGX_HTTP_WSGI_DESCRIPTORS);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_wsgi_check_threads(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    int                     err;
    pthread_t              *threads;
    ngx_uint_t              i, n, wanted;
    ngx_http_wsgi_pool_t  **pools;

    wanted = NGX_HTTP_WSGI_MORE_THREADS;
    pools = mcf->pools.elts;

    for (i = 0; i < mcf->pools.nelts; i++) {
        wanted += pools[i]->threads;
    }

    threads = ngx_alloc(wanted * sizeof(pthread_t), cycle->log);
    if (threads == NULL) {
        return NGX_ERROR;
    }

    err = ngx_http_wsgi_try_threads(threads, wanted, &n);

    ngx_free(threads);

    if (err == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, err,
                  "no more than %ui of the %ui threads that Python needs here "
                  "can be started: see \"wsgi_threads\" and \"wsgi_pool\", and "
                  "the limits of this process (RLIMIT_NPROC, RLIMIT_AS, "
                  "TasksMax)", n, wanted);

    return NGX_ERROR;
}


/* All at a time, since that is how they will live; all end here. */

static int
ngx_http_wsgi_try_threads(pthread_t *threads, ngx_uint_t wanted, ngx_uint_t *n)
{
    int              err;
    ngx_uint_t       i;
    pthread_mutex_t  gate = PTHREAD_MUTEX_INITIALIZER;

    err = 0;

    (void) pthread_mutex_lock(&gate);

    for (*n = 0; *n < wanted; (*n)++) {
        err = pthread_create(&threads[*n], NULL, ngx_http_wsgi_try_thread,
                             &gate);
        if (err) {
            break;
        }
    }

    (void) pthread_mutex_unlock(&gate);

    for (i = 0; i < *n; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    return err;
}


static void *
ngx_http_wsgi_try_thread(void *data)
{
    pthread_mutex_t *gate = data;

    (void) pthread_mutex_lock(gate);
    (void) pthread_mutex_unlock(gate);

    return NULL;
}
