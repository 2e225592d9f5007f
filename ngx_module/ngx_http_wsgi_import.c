
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The child of "wsgi_check import": it becomes what a worker is, imports the
 * applications, says through a pipe what became of it, and ends.
 */


#include "ngx_http_wsgi_module.h"

#include <grp.h>
#include <sys/prctl.h>


static ngx_int_t ngx_http_wsgi_check_imports(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);
static ngx_int_t ngx_http_wsgi_check_become_worker(ngx_cycle_t *cycle);
static void ngx_http_wsgi_check_signals(void);
static void ngx_http_wsgi_check_log(nwsgi_job_t *job, uint32_t level,
    const char *text, size_t len);
static void ngx_http_wsgi_check_forked(void);


/* where log lines go */

static ngx_fd_t  ngx_http_wsgi_check_fd;


/* There are no requests, so log() is all it needs. */

static const nwsgi_host_t  ngx_http_wsgi_check_host = {
    .size = sizeof(nwsgi_host_t),
    .abi = NWSGI_ABI,
    .log = ngx_http_wsgi_check_log,
    .forked = ngx_http_wsgi_check_forked
};


void
ngx_http_wsgi_check_child(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf,
    ngx_fd_t fd)
{
    char  verdict[2];

    ngx_http_wsgi_check_fd = fd;

    /* what an import starts may live on, and must not keep nginx's ports */

    ngx_http_wsgi_init_fork(cycle);
    ngx_http_wsgi_close_inherited();

    verdict[0] = ngx_http_wsgi_check_imports(cycle, mcf) == NGX_OK
                     ? NGX_HTTP_WSGI_CHECK_PASSED
                     : NGX_HTTP_WSGI_CHECK_FAILED;
    verdict[1] = LF;

    /* a child that an import has forked, and that has come back, has no say */

    if (ngx_http_wsgi_check_fd != fd || write(fd, verdict, 2) != 2) {
        _exit(1);
    }

    _exit(0);
}


static ngx_int_t
ngx_http_wsgi_check_imports(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    nwsgi_config_t          conf;
    const nwsgi_runtime_t  *runtime;

    if (ngx_http_wsgi_check_become_worker(cycle) != NGX_OK
        || ngx_http_wsgi_check_limits(cycle, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    runtime = ngx_http_wsgi_load_library(cycle, &ngx_http_wsgi_check_host);

    if (runtime == NULL
        || ngx_http_wsgi_configure(cycle, mcf, &conf, cycle->pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return runtime->check(&conf) == 0 ? NGX_OK : NGX_ERROR;
}


/* As ngx_worker_process_init() does, as far as an import can notice. */

static ngx_int_t
ngx_http_wsgi_check_become_worker(ngx_cycle_t *cycle)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    ngx_http_wsgi_check_signals();

    if (ngx_set_environment(cycle, NULL) == NULL) {
        return NGX_ERROR;
    }

    if (geteuid() == 0) {
        if (setgid(ccf->group) == -1
            || initgroups(ccf->username, ccf->group) == -1
            || setuid(ccf->user) == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "\"wsgi_check\" cannot become user \"%s\"",
                          ccf->username);
            return NGX_ERROR;
        }
    }

    /* setuid() would undo it; and the parent may have gone before */

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

    if (getppid() != ngx_pid) {
        return NGX_ERROR;
    }

    if (ccf->working_directory.len
        && chdir((char *) ccf->working_directory.data) == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "chdir(\"%s\") failed", ccf->working_directory.data);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_wsgi_check_signals(void)
{
    int               signo;
    sigset_t          set;
    struct sigaction  sa;

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_handler = SIG_DFL;
    sigemptyset(&sa.sa_mask);

    for (signo = 1; signo < SIGSYS; signo++) {
        if (signo != SIGPIPE) {
            (void) sigaction(signo, &sa, NULL);
        }
    }

    sigemptyset(&set);
    (void) sigprocmask(SIG_SETMASK, &set, NULL);
}


/* any thread; each line in one write(), which a pipe does not divide */

static void
ngx_http_wsgi_check_log(nwsgi_job_t *job, uint32_t level, const char *text,
    size_t len)
{
    char        line[1024];
    size_t      n;
    const char  *end;

    while (len) {
        end = memchr(text, LF, len);
        n = end ? (size_t) (end - text) : len;

        if (n > sizeof(line) - 2) {
            n = sizeof(line) - 2;
            end = NULL;
        }

        line[0] = (char) ('0' + level);
        ngx_memcpy(line + 1, text, n);
        line[n + 1] = LF;

        if (n && write(ngx_http_wsgi_check_fd, line, n + 2) == -1) {
            return;
        }

        n += (end != NULL);
        text += n;
        len -= n;
    }
}


/* A child of the application must not keep the pipe, and so the parent. */

static void
ngx_http_wsgi_check_forked(void)
{
    (void) close(ngx_http_wsgi_check_fd);

    ngx_http_wsgi_check_fd = STDERR_FILENO;
}
