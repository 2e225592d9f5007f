
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * "wsgi_check import": a deploy that cannot be imported is refused before it
 * replaces one that works.
 *
 * When a configuration has been read, by "nginx -t", at start or for a reload,
 * a child is forked that becomes what a worker is, with the worker's user,
 * environment and directory, and imports the applications there (_import.c).
 * Nothing of Go or Python is ever loaded in the parent: it reads from a pipe
 * what the child logs, and waits for its end, but not for ever.
 */


#include "ngx_http_wsgi_module.h"

#include <poll.h>


/* for the start of Python, and for what atexit runs */

#define NGX_HTTP_WSGI_CHECK_GRACE  10000


typedef struct {
    ngx_log_t                      *log;
    ngx_fd_t                        fd;
    u_char                          verdict;
    size_t                          len;
    u_char                          line[NGX_MAX_ERROR_STR];
} ngx_http_wsgi_check_t;


static ngx_uint_t ngx_http_wsgi_check_wanted(ngx_http_wsgi_main_conf_t *mcf);
static char *ngx_http_wsgi_check_wait(ngx_http_wsgi_main_conf_t *mcf,
    ngx_pid_t pid, ngx_http_wsgi_check_t *check);
static ngx_int_t ngx_http_wsgi_check_read(ngx_http_wsgi_check_t *check,
    ngx_msec_t limit);
static void ngx_http_wsgi_check_lines(ngx_http_wsgi_check_t *check);
static char *ngx_http_wsgi_check_verdict(ngx_http_wsgi_check_t *check,
    int status);


char *
ngx_http_wsgi_check(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    int                     fds[2];
    char                   *rc;
    ngx_pid_t               pid;
    ngx_http_wsgi_check_t   check;

    if (!ngx_http_wsgi_check_wanted(mcf)) {
        return NGX_CONF_OK;
    }

    if (pipe2(fds, O_CLOEXEC) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "pipe2() for \"wsgi_check\" failed");
        return NGX_CONF_ERROR;
    }

    pid = fork();

    if (pid == 0) {
        ngx_http_wsgi_check_child(cycle, mcf, fds[1]);
    }

    (void) close(fds[1]);

    if (pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "fork() for \"wsgi_check\" failed");
        (void) close(fds[0]);
        return NGX_CONF_ERROR;
    }

    check.log = cycle->log;
    check.fd = fds[0];
    check.verdict = 0;
    check.len = 0;

    rc = ngx_http_wsgi_check_wait(mcf, pid, &check);

    (void) close(fds[0]);

    return rc;
}


/*
 * "nginx -s stop" must work with a broken application, too; "nginx -s reload"
 * is checked here as well as in the master, so that it can fail.  And a
 * process that has loaded Go cannot fork().
 */

static ngx_uint_t
ngx_http_wsgi_check_wanted(ngx_http_wsgi_main_conf_t *mcf)
{
    int          i;
    const char  *arg;

    if (mcf->check == NGX_HTTP_WSGI_CHECK_OFF
        || ngx_http_wsgi_process.runtime != NULL)
    {
        return 0;
    }

    if (ngx_process != NGX_PROCESS_SIGNALLER) {
        return 1;
    }

    for (i = 1; i < ngx_argc; i++) {
        arg = ngx_argv[i];

        if (ngx_strcmp(arg, "reload") == 0
            || ngx_strcmp(arg, "-sreload") == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * The parent may be a master that has signals blocked, among them SIGCHLD: the
 * status of this child is taken here, and not by nginx's handler.
 */

static char *
ngx_http_wsgi_check_wait(ngx_http_wsgi_main_conf_t *mcf, ngx_pid_t pid,
    ngx_http_wsgi_check_t *check)
{
    int         status;
    sigset_t    set, old;
    ngx_int_t   rc;
    ngx_msec_t  limit;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    (void) sigprocmask(SIG_BLOCK, &set, &old);

    limit = mcf->start_timeout * mcf->apps.nelts + NGX_HTTP_WSGI_CHECK_GRACE;

    rc = ngx_http_wsgi_check_read(check, limit);

    if (rc != NGX_OK) {
        (void) kill(pid, SIGKILL);
    }

    while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    (void) sigprocmask(SIG_SETMASK, &old, NULL);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "the applications were not imported within %M ms, the "
                      "configuration is refused (\"wsgi_check\")", limit);
        return NGX_CONF_ERROR;
    }

    return ngx_http_wsgi_check_verdict(check, status);
}


/* Until the child has closed the pipe by its end; NGX_ERROR: it does not. */

static ngx_int_t
ngx_http_wsgi_check_read(ngx_http_wsgi_check_t *check, ngx_msec_t limit)
{
    int            rc;
    ssize_t        n;
    uint64_t       now, end;
    struct pollfd  pfd;

    pfd.fd = check->fd;
    pfd.events = POLLIN;

    end = ngx_http_wsgi_now() + limit;

    for ( ;; ) {
        now = ngx_http_wsgi_now();

        rc = (now < end) ? poll(&pfd, 1, (int) (end - now)) : 0;

        if (rc == 0) {
            return NGX_ERROR;
        }

        if (rc == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return NGX_ERROR;
        }

        n = read(check->fd, check->line + check->len,
                 sizeof(check->line) - check->len);

        if (n <= 0) {
            return NGX_OK;
        }

        check->len += n;

        ngx_http_wsgi_check_lines(check);
    }
}


/* A line is its level, one character, and the text; or it is the verdict. */

static void
ngx_http_wsgi_check_lines(ngx_http_wsgi_check_t *check)
{
    size_t      n;
    u_char     *p;
    ngx_str_t   text;

    for ( ;; ) {
        p = ngx_strlchr(check->line, check->line + check->len, LF);

        if (p == NULL && check->len < sizeof(check->line)) {
            return;
        }

        n = p ? (size_t) (p - check->line) : check->len;

        if (n && check->line[0] < '0') {
            check->verdict = check->line[0];

        } else if (n) {
            text.data = check->line + 1;
            text.len = n - 1;

            ngx_log_error((ngx_uint_t) (check->line[0] - '0'), check->log, 0,
                          "wsgi: %V", &text);
        }

        n += (p != NULL);
        check->len -= n;

        ngx_memmove(check->line, check->line + n, check->len);
    }
}


/* An exit status alone proves nothing: an import may call exit(), too. */

static char *
ngx_http_wsgi_check_verdict(ngx_http_wsgi_check_t *check, int status)
{
    if (WIFSIGNALED(status)) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "the import of the applications crashed with signal %d, "
                      "the configuration is refused (\"wsgi_check\")",
                      WTERMSIG(status));
        return NGX_CONF_ERROR;
    }

    if (check->verdict == 0) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "the import of the applications ended its process with "
                      "code %d, the configuration is refused (\"wsgi_check\")",
                      WEXITSTATUS(status));
        return NGX_CONF_ERROR;
    }

    if (check->verdict != NGX_HTTP_WSGI_CHECK_PASSED) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "not all applications can be imported, the "
                      "configuration is refused (\"wsgi_check\")");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
