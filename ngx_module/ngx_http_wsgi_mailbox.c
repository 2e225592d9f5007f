
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mailbox of the loop: a list without a lock, to which threads push and
 * which the loop takes as a whole, and an eventfd that wakes it.
 */


#include "ngx_http_wsgi_module.h"

#include <sys/eventfd.h>


/*
 * A thread that logs faster than the disk takes it must not fill the memory:
 * above this, lines are dropped and counted.
 */

#define NGX_HTTP_WSGI_LOG_LIMIT  (8 * 1024 * 1024)


typedef struct {
    ngx_http_wsgi_message_t        *head;              /* the newest first */
    uint32_t                        awake;             /* no need to wake */
    uint32_t                        lost;              /* log lines */
    uint64_t                        logged;            /* bytes waiting */
    ngx_fd_t                        fd;                /* eventfd */
} ngx_http_wsgi_mailbox_t;


static void ngx_http_wsgi_push_log(ngx_http_wsgi_job_t *job, uint64_t serial,
    uint32_t level, const char *text, size_t len);


static ngx_http_wsgi_mailbox_t  mailbox;


void
ngx_http_wsgi_push(ngx_http_wsgi_message_t *m, ngx_uint_t wake)
{
    uint64_t  one = 1;

    if (ngx_http_wsgi_is_child) {
        return;
    }

    m->next = __atomic_load_n(&mailbox.head, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(&mailbox.head, &m->next, m, 1,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
    {
        /* void */
    }

    /* the loop clears "awake" before it takes the list, so one of us sees it */

    if (wake
        && __atomic_load_n(&mailbox.awake, __ATOMIC_SEQ_CST) == 0
        && __atomic_exchange_n(&mailbox.awake, 1, __ATOMIC_SEQ_CST) == 0
        && write(mailbox.fd, &one, sizeof(uint64_t)) == -1)
    {
        /* the counter is full: the loop has been woken often enough */
        return;
    }
}


void
ngx_http_wsgi_host_log(nwsgi_job_t *nj, uint32_t level, const char *text,
    size_t len)
{
    ngx_http_wsgi_push_log((ngx_http_wsgi_job_t *) nj, 0, level, text, len);
}


void
ngx_http_wsgi_host_record(uint64_t serial, uint32_t level, const char *text,
    size_t len)
{
    ngx_http_wsgi_push_log(NULL, serial, level, text, len);
}


static void
ngx_http_wsgi_push_log(ngx_http_wsgi_job_t *job, uint64_t serial,
    uint32_t level, const char *text, size_t len)
{
    ngx_http_wsgi_message_t  *m;

    if (ngx_http_wsgi_is_child) {
        ngx_http_wsgi_child_log(text, len);
        return;
    }

    if (__atomic_add_fetch(&mailbox.logged, len, __ATOMIC_RELAXED)
        > NGX_HTTP_WSGI_LOG_LIMIT)
    {
        goto lost;
    }

    m = malloc(sizeof(ngx_http_wsgi_message_t) + len);
    if (m == NULL) {
        goto lost;
    }

    ngx_memzero(m, sizeof(ngx_http_wsgi_message_t));

    m->job = job;
    m->serial = serial;
    m->type = NGX_HTTP_WSGI_MESSAGE_LOG;
    m->level = level;
    m->body.data = (u_char *) (m + 1);
    m->body.len = len;

    ngx_memcpy(m->body.data, text, len);

    ngx_http_wsgi_push(m, 1);

    return;

lost:

    (void) __atomic_sub_fetch(&mailbox.logged, len, __ATOMIC_RELAXED);
    (void) __atomic_add_fetch(&mailbox.lost, 1, __ATOMIC_RELAXED);
}


void
ngx_http_wsgi_host_ready(uint32_t failures)
{
    static ngx_http_wsgi_message_t  m = {
        .type = NGX_HTTP_WSGI_MESSAGE_READY
    };

    m.result = failures;

    ngx_http_wsgi_push(&m, 1);
}


/* The rest runs on the loop. */


ngx_fd_t
ngx_http_wsgi_init_mailbox(ngx_cycle_t *cycle)
{
    mailbox.fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (mailbox.fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "eventfd() failed");
        return NGX_INVALID_FILE;
    }

    return mailbox.fd;
}


ngx_http_wsgi_message_t *
ngx_http_wsgi_take_messages(void)
{
    ngx_http_wsgi_message_t  *m, *next, *list;

    __atomic_store_n(&mailbox.awake, 0, __ATOMIC_SEQ_CST);

    m = __atomic_exchange_n(&mailbox.head, NULL, __ATOMIC_SEQ_CST);

    for (list = NULL; m; m = next) {
        next = m->next;
        m->next = list;
        list = m;
    }

    return list;
}


void
ngx_http_wsgi_stay_awake(void)
{
    __atomic_store_n(&mailbox.awake, 1, __ATOMIC_SEQ_CST);
}


void
ngx_http_wsgi_log_written(size_t len)
{
    (void) __atomic_sub_fetch(&mailbox.logged, len, __ATOMIC_RELAXED);
}


uint32_t
ngx_http_wsgi_log_lost(void)
{
    if (__atomic_load_n(&mailbox.lost, __ATOMIC_RELAXED) == 0) {
        return 0;
    }

    return __atomic_exchange_n(&mailbox.lost, 0, __ATOMIC_RELAXED);
}
