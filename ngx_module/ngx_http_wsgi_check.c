
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


#include "ngx_http_wsgi_verdict.h"

#include <poll.h>
#include <sys/ioctl.h>


/* for the start of Python, and for what atexit runs */

#define NGX_HTTP_WSGI_CHECK_GRACE  10000


/* how often the parent looks at more than the pipe, msec */

#define NGX_HTTP_WSGI_CHECK_SLICE  100

/* the same when the pipe has ended and the child has not */

#define NGX_HTTP_WSGI_CHECK_SHORT_SLICE  10


typedef struct {
    ngx_log_t                      *log;
    ngx_pid_t                       pid;
    ngx_msec_t                      limit;
    uint64_t                        end;
    ngx_fd_t                        fd;
    ngx_uint_t                      again;
    ngx_http_wsgi_verdict_t         verdict;
} ngx_http_wsgi_check_t;


static ngx_uint_t ngx_http_wsgi_check_wanted(ngx_http_wsgi_main_conf_t *mcf);
static char *ngx_http_wsgi_check_run(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);
static char *ngx_http_wsgi_check_wait(ngx_http_wsgi_check_t *check);
static ngx_uint_t ngx_http_wsgi_check_give_up(ngx_http_wsgi_check_t *check);
static ngx_uint_t ngx_http_wsgi_check_told_to_end(void);
static ngx_uint_t ngx_http_wsgi_check_worker_died(void);
static ngx_int_t ngx_http_wsgi_check_poll(ngx_http_wsgi_check_t *check,
    ngx_msec_t timeout);
static ssize_t ngx_http_wsgi_check_read(ngx_http_wsgi_check_t *check,
    size_t max);
static void ngx_http_wsgi_check_drain(ngx_http_wsgi_check_t *check);
static char *ngx_http_wsgi_check_verdict(ngx_http_wsgi_check_t *check,
    int status);


/* this reload has begun once and will begin again */

static ngx_uint_t  ngx_http_wsgi_check_put_off;


/*
 * The status of the child is taken here, and not by nginx's handler, if there
 * is one.  If SIGCHLD is ignored, as the parent of nginx may have left it, then
 * there is no status; if not, one that is pending must not be lost, which it is
 * when its action is set.
 */

char *
ngx_http_wsgi_check(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    char              *rc;
    sigset_t           set, old;
    struct sigaction   sa;

    if (!ngx_http_wsgi_check_wanted(mcf)) {
        return NGX_CONF_OK;
    }

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    (void) sigprocmask(SIG_BLOCK, &set, &old);

    if (sigaction(SIGCHLD, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) {
        (void) signal(SIGCHLD, SIG_DFL);
        rc = ngx_http_wsgi_check_run(cycle, mcf);
        (void) signal(SIGCHLD, SIG_IGN);

    } else {
        rc = ngx_http_wsgi_check_run(cycle, mcf);
    }

    (void) sigprocmask(SIG_SETMASK, &old, NULL);

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


static char *
ngx_http_wsgi_check_run(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf)
{
    int                     fds[2];
    char                   *rc;
    ngx_http_wsgi_check_t   check;

    if (pipe2(fds, O_CLOEXEC) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "pipe2() for \"wsgi_check\" failed");
        return NGX_CONF_ERROR;
    }

    check.log = cycle->log;
    check.limit = ngx_http_wsgi_imports_time(mcf, NGX_HTTP_WSGI_CHECK_GRACE);
    check.end = ngx_http_wsgi_now() + check.limit;
    check.fd = fds[0];
    check.again = ngx_http_wsgi_check_put_off;

    ngx_http_wsgi_verdict_init(&check.verdict, cycle->log);

    ngx_http_wsgi_check_put_off = 0;

    check.pid = fork();

    if (check.pid == 0) {
        (void) close(fds[0]);
        ngx_http_wsgi_check_child(cycle, mcf, fds[1]);
    }

    (void) close(fds[1]);

    if (check.pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "fork() for \"wsgi_check\" failed");
        rc = NGX_CONF_ERROR;

    } else {

        /* somebody else may have read what was there */

        (void) ngx_nonblocking(fds[0]);

        ngx_http_wsgi_workers_set_checking(1);

        rc = ngx_http_wsgi_check_wait(&check);

        ngx_http_wsgi_workers_set_checking(0);
    }

    (void) close(fds[0]);

    return rc;
}


/*
 * The end of the pipe and that of the child are two things: the import may have
 * closed the one, or started a process that keeps it.
 */

static char *
ngx_http_wsgi_check_wait(ngx_http_wsgi_check_t *check)
{
    int         status;
    ngx_pid_t   pid;
    ngx_msec_t  slice;

    slice = NGX_HTTP_WSGI_CHECK_SLICE;

    for ( ;; ) {

        if (ngx_http_wsgi_check_poll(check, slice) == NGX_DONE) {
            slice = NGX_HTTP_WSGI_CHECK_SHORT_SLICE;
            (void) poll(NULL, 0, slice);
        }

        pid = waitpid(check->pid, &status, WNOHANG);

        if (pid == check->pid) {
            break;
        }

        if (pid == -1 && ngx_errno != NGX_EINTR) {
            ngx_log_error(NGX_LOG_EMERG, check->log, ngx_errno,
                          "waitpid() for the import of the applications "
                          "failed, the configuration is refused "
                          "(\"wsgi_check\")");
            return NGX_CONF_ERROR;
        }

        if (ngx_http_wsgi_check_give_up(check)) {
            (void) kill(check->pid, SIGKILL);

            while (waitpid(check->pid, NULL, 0) == -1
                   && ngx_errno == NGX_EINTR)
            {
                /* void */
            }

            return NGX_CONF_ERROR;
        }
    }

    ngx_http_wsgi_check_drain(check);

    return ngx_http_wsgi_check_verdict(check, status);
}


static ngx_uint_t
ngx_http_wsgi_check_give_up(ngx_http_wsgi_check_t *check)
{
    if (ngx_http_wsgi_now() >= check->end) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "the applications were not imported within %M ms, the "
                      "configuration is refused (\"wsgi_check\")",
                      check->limit);
        return 1;
    }

    if (ngx_http_wsgi_check_told_to_end()) {
        ngx_log_error(NGX_LOG_NOTICE, check->log, 0,
                      "nginx has to end, the import of the applications is "
                      "given up and the configuration is refused "
                      "(\"wsgi_check\")");
        return 1;
    }

    /*
     * Once, or workers that die again and again would keep off the reload that
     * may mend them.
     */

    if (!check->again && ngx_http_wsgi_check_worker_died()
        && raise(ngx_signal_value(NGX_RECONFIGURE_SIGNAL)) == 0)
    {
        ngx_http_wsgi_check_put_off = 1;

        ngx_log_error(NGX_LOG_NOTICE, check->log, 0,
                      "a process has ended and has to be replaced, the "
                      "reload and its import of the applications will begin "
                      "again after that (\"wsgi_check\")");
        return 1;
    }

    return 0;
}


/* A master has these signals blocked; where they are not, who is told ends. */

static ngx_uint_t
ngx_http_wsgi_check_told_to_end(void)
{
    sigset_t  set;

    if (ngx_quit || ngx_terminate) {
        return 1;
    }

    if (sigpending(&set) == -1) {
        return 0;
    }

    return sigismember(&set, ngx_signal_value(NGX_SHUTDOWN_SIGNAL)) == 1
           || sigismember(&set, ngx_signal_value(NGX_TERMINATE_SIGNAL)) == 1
           || sigismember(&set, SIGINT) == 1;
}


/* NGX_DONE: there is nothing to come; NGX_AGAIN: nothing has come. */

static ngx_int_t
ngx_http_wsgi_check_poll(ngx_http_wsgi_check_t *check, ngx_msec_t timeout)
{
    int            n;
    ssize_t        size;
    struct pollfd  pfd;

    pfd.fd = check->fd;
    pfd.events = POLLIN;

    n = poll(&pfd, 1, (int) timeout);

    /* what is logged next has the time of now, not of the configuration */

    ngx_time_update();

    if (n <= 0) {
        return NGX_AGAIN;
    }

    size = ngx_http_wsgi_check_read(check, NGX_MAX_SIZE_T_VALUE);

    if (size > 0) {
        return NGX_OK;
    }

    return size == -1 && ngx_errno == NGX_EAGAIN ? NGX_AGAIN : NGX_DONE;
}


static ssize_t
ngx_http_wsgi_check_read(ngx_http_wsgi_check_t *check, size_t max)
{
    size_t    size;
    u_char   *p;
    ssize_t   n;

    p = ngx_http_wsgi_verdict_room(&check->verdict, &size);

    n = read(check->fd, p, ngx_min(size, max));

    if (n > 0) {
        ngx_http_wsgi_verdict_add(&check->verdict, n);
    }

    return n;
}


/*
 * The child has ended: what is in the pipe now is the rest of what it wrote.  A
 * process that it has left behind could go on for ever.
 */

static void
ngx_http_wsgi_check_drain(ngx_http_wsgi_check_t *check)
{
    int      left;
    ssize_t  n;

    ngx_time_update();

    if (ioctl(check->fd, FIONREAD, &left) == -1) {
        left = 0;
    }

    while (left > 0) {
        n = ngx_http_wsgi_check_read(check, left);

        if (n <= 0) {
            break;
        }

        left -= (int) n;
    }

    ngx_http_wsgi_verdict_end(&check->verdict);
}


/* One that the master will replace, which it does not while it waits here. */

static ngx_uint_t
ngx_http_wsgi_check_worker_died(void)
{
    ngx_int_t       i;
    siginfo_t       info;
    ngx_process_t  *p;

    for (i = 0; i < ngx_last_process; i++) {
        p = &ngx_processes[i];

        if (p->pid == -1 || !p->respawn || p->exiting || p->exited) {
            continue;
        }

        info.si_pid = 0;

        if (waitid(P_PID, p->pid, &info, WEXITED|WNOHANG|WNOWAIT) == 0
            && info.si_pid == p->pid)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * An exit status alone proves nothing: an import may call exit(), too.  Nor
 * does a verdict alone: the child that writes it does nothing after it.
 */

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

    if (check->verdict.found == 0 || WEXITSTATUS(status) != 0) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "the import of the applications ended its process with "
                      "code %d, the configuration is refused (\"wsgi_check\")",
                      WEXITSTATUS(status));
        return NGX_CONF_ERROR;
    }

    if (check->verdict.found != NGX_HTTP_WSGI_CHECK_PASSED) {
        ngx_log_error(NGX_LOG_EMERG, check->log, 0,
                      "not all applications can be imported, the "
                      "configuration is refused (\"wsgi_check\")");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
