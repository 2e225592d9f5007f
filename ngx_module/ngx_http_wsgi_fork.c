
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * fork() in an application: its child runs on in Python, and must not keep open
 * what is nginx's.  And exit(), which must not be taken for nginx's.
 */


#include "ngx_http_wsgi_module.h"

#include <dirent.h>
#include <sys/syscall.h>


#define NGX_HTTP_WSGI_MAX_PRIVATE  8


volatile sig_atomic_t  ngx_http_wsgi_is_child;


/* what nginx keeps to itself, epoll and the like */

static ngx_fd_t    ngx_http_wsgi_private[NGX_HTTP_WSGI_MAX_PRIVATE];
static ngx_uint_t  ngx_http_wsgi_nprivate;


#if (__GLIBC__)
static void ngx_http_wsgi_on_exit(int status, void *data);
#endif
static void ngx_http_wsgi_close_strays(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_wsgi_is_accepted(ngx_cycle_t *cycle, ngx_fd_t fd);


/*
 * All descriptors that are open now are nginx's.  None of them is for the
 * programs that an application starts; and those that nginx keeps to itself,
 * epoll's and the like, are noted for forked().
 */

void
ngx_http_wsgi_init_fork(ngx_cycle_t *cycle)
{
    DIR            *dir;
    char            link[32];
    ssize_t         n;
    ngx_int_t       fd;
    struct dirent  *de;

    dir = opendir("/proc/self/fd");

    if (dir == NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "opendir(\"/proc/self/fd\") failed, the children of "
                      "applications may keep connections open");
        return;
    }

    while ((de = readdir(dir)) != NULL) {
        fd = ngx_atoi((u_char *) de->d_name, ngx_strlen(de->d_name));

        if (fd <= STDERR_FILENO || fd == dirfd(dir)) {
            continue;
        }

        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);

        n = readlinkat(dirfd(dir), de->d_name, link, sizeof(link));

        if (n > (ssize_t) sizeof("anon_inode:") - 1
            && ngx_strncmp(link, "anon_inode:", sizeof("anon_inode:") - 1) == 0
            && ngx_http_wsgi_nprivate < NGX_HTTP_WSGI_MAX_PRIVATE)
        {
            ngx_http_wsgi_private[ngx_http_wsgi_nprivate++] = fd;
        }
    }

    (void) closedir(dir);
}


/*
 * A worker that exits with 2 is one that nginx does not replace, because it has
 * found something wrong itself.  An application may do it for any reason.
 */

void
ngx_http_wsgi_init_exit(void)
{
#if (__GLIBC__)
    (void) on_exit(ngx_http_wsgi_on_exit, NULL);
#endif
}


#if (__GLIBC__)

static void
ngx_http_wsgi_on_exit(int status, void *data)
{
    /* nginx's own exit(2) is that of the main thread */

    if ((status & 0xff) == 2
        && ngx_getpid() == ngx_pid
        && syscall(SYS_gettid) != ngx_pid)
    {
        _exit(1);
    }
}

#endif


/*
 * In the child of fork(): async-signal-safe calls only.  The memory is a copy
 * of the worker's, made while its loop ran; nginx invalidates a descriptor in
 * its connection before it closes it.
 */

void
ngx_http_wsgi_host_forked(void)
{
    ngx_http_wsgi_is_child = 1;

    ngx_http_wsgi_close_inherited();
}


void
ngx_http_wsgi_close_inherited(void)
{
    ngx_int_t         n;
    ngx_uint_t        i;
    ngx_cycle_t      *cycle;
    ngx_listening_t  *ls;

    cycle = (ngx_cycle_t *) ngx_cycle;

    /* a master has a number of connections, but none */

    for (i = 0; cycle->connections && i < cycle->connection_n; i++) {
        if (cycle->connections[i].fd > STDERR_FILENO) {
            (void) close(cycle->connections[i].fd);
        }
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].fd > STDERR_FILENO) {
            (void) close(ls[i].fd);
        }
    }

    for (n = 0; n < ngx_last_process; n++) {
        if (n != ngx_process_slot
            && ngx_processes[n].pid != -1
            && ngx_processes[n].channel[0] > STDERR_FILENO)
        {
            (void) close(ngx_processes[n].channel[0]);
        }
    }

    for (i = 0; i < ngx_http_wsgi_nprivate; i++) {
        (void) close(ngx_http_wsgi_private[i]);
    }

    ngx_http_wsgi_close_strays(cycle);
}


/*
 * The loop may have been between accept() and the connection, or between that
 * and close().  Such a socket is known by its address only.
 */

static void
ngx_http_wsgi_close_strays(ngx_cycle_t *cycle)
{
    ssize_t           n, pos;
    ngx_fd_t          dir, fd;
    uint64_t          buf[128];                      /* aligned as entries */
    struct dirent64  *de;

    dir = open("/proc/self/fd", O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (dir == NGX_INVALID_FILE) {
        return;
    }

    while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {

        for (pos = 0; pos < n; pos += de->d_reclen) {
            de = (struct dirent64 *) ((u_char *) buf + pos);

            fd = ngx_atoi((u_char *) de->d_name, ngx_strlen(de->d_name));

            if (fd > STDERR_FILENO && ngx_http_wsgi_is_accepted(cycle, fd)) {
                (void) close(fd);
            }
        }
    }

    (void) close(dir);
}


static ngx_uint_t
ngx_http_wsgi_is_accepted(ngx_cycle_t *cycle, ngx_fd_t fd)
{
    socklen_t         len;
    ngx_uint_t        i;
    ngx_sockaddr_t    sa;
    ngx_listening_t  *ls;

    len = sizeof(ngx_sockaddr_t);

    if (getsockname(fd, &sa.sockaddr, &len) == -1) {
        return 0;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (ls[i].sockaddr->sa_family != sa.sockaddr.sa_family) {
            continue;
        }

        /* one that listens on a wildcard accepts on any address of its port */

        if (sa.sockaddr.sa_family == AF_UNIX
            ? ngx_cmp_sockaddr(&sa.sockaddr, len, ls[i].sockaddr,
                               ls[i].socklen, 1) == NGX_OK
            : ngx_inet_get_port(&sa.sockaddr)
              == ngx_inet_get_port(ls[i].sockaddr))
        {
            return 1;
        }
    }

    return 0;
}


/* The mailbox is the parent's; what is left of nginx's log is stderr. */

void
ngx_http_wsgi_child_log(const char *text, size_t len)
{
    struct iovec  iov[3];

    iov[0].iov_base = "wsgi: ";
    iov[0].iov_len = sizeof("wsgi: ") - 1;

    iov[1].iov_base = (void *) text;
    iov[1].iov_len = len;

    iov[2].iov_base = "\n";
    iov[2].iov_len = (len == 0 || text[len - 1] != '\n');

    if (writev(STDERR_FILENO, iov, 3) == -1) {
        /* there is no place left to say so */
        return;
    }
}
