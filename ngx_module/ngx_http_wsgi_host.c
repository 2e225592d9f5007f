
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host table: what Python threads may call, see nwsgi.h.
 *
 * Every function here runs on any thread, but for the second half of the file.
 * So nothing here is nginx's but types: memory is malloc()ed, what is shared
 * is atomic, and the loop gets messages by a list that threads push to and the
 * loop takes as a whole.
 */


#include "ngx_http_wsgi_zone.h"

#include <dirent.h>
#include <sys/eventfd.h>


/*
 * A thread that logs faster than the disk takes it must not fill the memory:
 * above this, lines are dropped and counted.
 */

#define NGX_HTTP_WSGI_LOG_LIMIT  (8 * 1024 * 1024)

#define NGX_HTTP_WSGI_MAX_FORKED  8


typedef struct {
    ngx_http_wsgi_message_t        *head;              /* the newest first */
    uint32_t                        awake;             /* no need to wake */
    uint32_t                        lost;              /* log lines */
    uint64_t                        logged;            /* bytes waiting */
    ngx_fd_t                        fd;                /* eventfd */
    ngx_uint_t                      nforked;
    ngx_fd_t                        forked[NGX_HTTP_WSGI_MAX_FORKED];
    volatile sig_atomic_t           child;             /* of fork() */
} ngx_http_wsgi_mailbox_t;


static void ngx_http_wsgi_host_log(nwsgi_job_t *nj, uint32_t level,
    const char *text, size_t len);
static void ngx_http_wsgi_host_record(uint64_t serial, uint32_t level,
    const char *text, size_t len);
static void ngx_http_wsgi_push_log(ngx_http_wsgi_job_t *job, uint64_t serial,
    uint32_t level, const char *text, size_t len);
static void ngx_http_wsgi_child_log(const char *text, size_t len);
static void ngx_http_wsgi_host_ready(uint32_t failures);
static int32_t ngx_http_wsgi_host_begin(nwsgi_job_t *nj);
static int32_t ngx_http_wsgi_host_send(nwsgi_job_t *nj,
    const nwsgi_message_t *msg);
static int32_t ngx_http_wsgi_host_wait(nwsgi_job_t *nj);
static int32_t ngx_http_wsgi_host_gone(nwsgi_job_t *nj);
static void ngx_http_wsgi_host_end(nwsgi_job_t *nj, int32_t result);
static void ngx_http_wsgi_host_forked(void);

static ngx_http_wsgi_message_t *ngx_http_wsgi_create_message(
    ngx_http_wsgi_job_t *job, size_t size);
static u_char *ngx_http_wsgi_copy_text(ngx_str_t *to, u_char *p,
    const void *text, size_t len);
static void ngx_http_wsgi_host_drop(const nwsgi_message_t *msg);
static void ngx_http_wsgi_find_forked(ngx_cycle_t *cycle);


static ngx_http_wsgi_mailbox_t  mailbox;


const nwsgi_host_t  ngx_http_wsgi_host = {
    sizeof(nwsgi_host_t),
    NWSGI_ABI,
    ngx_http_wsgi_host_log,
    ngx_http_wsgi_host_record,
    ngx_http_wsgi_host_ready,
    ngx_http_wsgi_host_drain,
    ngx_http_wsgi_host_hold,
    ngx_http_wsgi_host_where,
    ngx_http_wsgi_host_begin,
    ngx_http_wsgi_host_send,
    ngx_http_wsgi_host_wait,
    ngx_http_wsgi_host_read,
    NGX_HTTP_WSGI_HOST_EARLY_HINTS,
    ngx_http_wsgi_host_gone,
    ngx_http_wsgi_host_end,
    ngx_http_wsgi_host_forked
};


static void
ngx_http_wsgi_host_log(nwsgi_job_t *nj, uint32_t level, const char *text,
    size_t len)
{
    ngx_http_wsgi_push_log((ngx_http_wsgi_job_t *) nj, 0, level, text, len);
}


static void
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

    if (mailbox.child) {
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


/* The mailbox is the parent's; what is left of nginx's log is stderr. */

static void
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


static void
ngx_http_wsgi_host_ready(uint32_t failures)
{
    static ngx_http_wsgi_message_t  m = {
        .type = NGX_HTTP_WSGI_MESSAGE_READY
    };

    m.result = failures;

    ngx_http_wsgi_push(&m, 1);
}


static int32_t
ngx_http_wsgi_host_begin(nwsgi_job_t *nj)
{
    uint64_t              now;
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    if (__atomic_load_n(&job->over, __ATOMIC_ACQUIRE)) {
        return NWSGI_GONE;
    }

    now = ngx_http_wsgi_now();

    ngx_http_wsgi_flight_begun(job, now);

    __atomic_store_n(&job->progress, now, __ATOMIC_RELAXED);
    __atomic_store_n(&job->begun, now, __ATOMIC_RELEASE);

    return NWSGI_OK;
}


static int32_t
ngx_http_wsgi_host_send(nwsgi_job_t *nj, const nwsgi_message_t *msg)
{
    uint64_t                  unsent;
    ngx_http_wsgi_job_t      *job;
    ngx_http_wsgi_message_t  *m;

    job = (ngx_http_wsgi_job_t *) nj;

    if (mailbox.child || __atomic_load_n(&job->over, __ATOMIC_ACQUIRE)) {
        ngx_http_wsgi_host_drop(msg);
        return job->deaf ? NWSGI_OK : NWSGI_GONE;
    }

    m = ngx_http_wsgi_copy_message(job, msg);
    if (m == NULL) {
        ngx_http_wsgi_host_drop(msg);
        job->starved = 1;
        return NWSGI_ERROR;
    }

    if (msg->flags & NWSGI_SEND_LAST) {
        job->last = 1;
    }

    unsent = __atomic_add_fetch(&job->unsent, m->credit, __ATOMIC_SEQ_CST);
    __atomic_store_n(&job->progress, ngx_http_wsgi_now(), __ATOMIC_RELEASE);

    ngx_http_wsgi_push(m, 1);

    return (unsent > __atomic_load_n(&job->limit, __ATOMIC_RELAXED)
            && !job->last)
           ? NWSGI_AGAIN : NWSGI_OK;
}


/*
 * A message that is not taken: what it lends goes back.  Not in a child, which
 * may have been forked while another thread had the runtime's locks.
 */

static void
ngx_http_wsgi_host_drop(const nwsgi_message_t *msg)
{
    if (msg->owner && !mailbox.child) {
        ngx_http_wsgi_process.runtime->release(msg->owner);
    }
}


static ngx_http_wsgi_message_t *
ngx_http_wsgi_create_message(ngx_http_wsgi_job_t *job, size_t size)
{
    ngx_http_wsgi_message_t  *m;

    if (job->spare && size <= NGX_HTTP_WSGI_SPARE_SIZE) {
        m = job->spare;
        m->spare = 1;

        job->spare = NULL;

        return m;
    }

    m = malloc(size);

    if (m) {
        m->spare = 0;
    }

    return m;
}


ngx_http_wsgi_message_t *
ngx_http_wsgi_copy_message(ngx_http_wsgi_job_t *job,
    const nwsgi_message_t *msg)
{
    u_char                   *p;
    size_t                    size;
    uint32_t                  i;
    ngx_keyval_t             *field;
    const nwsgi_field_t      *f;
    ngx_http_wsgi_message_t  *m;

    size = sizeof(ngx_http_wsgi_message_t) + msg->nfields * sizeof(ngx_keyval_t)
           + msg->reason_len + msg->user_len
           + (msg->owner ? 0 : msg->body_len);

    for (i = 0; i < msg->nfields; i++) {
        size += msg->fields[i].name_len + msg->fields[i].value_len;
    }

    m = ngx_http_wsgi_create_message(job, size);
    if (m == NULL) {
        return NULL;
    }

    m->job = job;
    m->type = NGX_HTTP_WSGI_MESSAGE_SEND;
    m->flags = msg->flags;
    m->status = msg->status;
    m->nfields = msg->nfields;
    m->content_length = msg->content_length;
    m->owner = msg->owner;
    m->fd = msg->fd;
    m->offset = msg->offset;
    m->credit = sizeof(ngx_http_wsgi_message_t) + msg->body_len;
    m->fields = (ngx_keyval_t *) (m + 1);

    p = (u_char *) (m->fields + msg->nfields);

    for (i = 0; i < msg->nfields; i++) {
        f = &msg->fields[i];
        field = &m->fields[i];

        p = ngx_http_wsgi_copy_text(&field->key, p, f->name, f->name_len);
        p = ngx_http_wsgi_copy_text(&field->value, p, f->value, f->value_len);
    }

    p = ngx_http_wsgi_copy_text(&m->reason, p, msg->reason, msg->reason_len);
    p = ngx_http_wsgi_copy_text(&m->user, p, msg->user, msg->user_len);

    if (msg->owner) {
        m->body.data = (u_char *) msg->body;
        m->body.len = msg->body_len;

    } else {
        (void) ngx_http_wsgi_copy_text(&m->body, p, msg->body, msg->body_len);
    }

    return m;
}


static u_char *
ngx_http_wsgi_copy_text(ngx_str_t *to, u_char *p, const void *text, size_t len)
{
    to->data = p;
    to->len = len;

    return len ? ngx_cpymem(p, text, len) : p;
}


static int32_t
ngx_http_wsgi_host_wait(nwsgi_job_t *nj)
{
    uint32_t              over;
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    if (mailbox.child) {
        return NWSGI_GONE;
    }

    (void) pthread_mutex_lock(&job->mutex);

    /* the loop looks at "waiting" after it has changed what is read here */

    __atomic_store_n(&job->waiting, 1, __ATOMIC_SEQ_CST);

    for ( ;; ) {
        over = __atomic_load_n(&job->over, __ATOMIC_SEQ_CST);

        if (over
            || __atomic_load_n(&job->unsent, __ATOMIC_SEQ_CST)
               <= __atomic_load_n(&job->limit, __ATOMIC_RELAXED) / 2)
        {
            break;
        }

        (void) pthread_cond_wait(&job->cond, &job->mutex);
    }

    __atomic_store_n(&job->waiting, 0, __ATOMIC_SEQ_CST);

    (void) pthread_mutex_unlock(&job->mutex);

    __atomic_store_n(&job->progress, ngx_http_wsgi_now(), __ATOMIC_RELEASE);

    return (over && !job->deaf) ? NWSGI_GONE : NWSGI_OK;
}


static int32_t
ngx_http_wsgi_host_gone(nwsgi_job_t *nj)
{
    ngx_http_wsgi_job_t  *job;

    job = (ngx_http_wsgi_job_t *) nj;

    return mailbox.child
           || (__atomic_load_n(&job->over, __ATOMIC_ACQUIRE) && !job->deaf);
}


void
ngx_http_wsgi_ask_body(ngx_http_wsgi_job_t *job)
{
    if (job->stream.asked) {
        return;
    }

    job->stream.asked = 1;

    job->ask.job = job;
    job->ask.type = NGX_HTTP_WSGI_MESSAGE_BODY;

    ngx_http_wsgi_push(&job->ask, 1);
}


static void
ngx_http_wsgi_host_end(nwsgi_job_t *nj, int32_t result)
{
    ngx_http_wsgi_job_t      *job;
    ngx_http_wsgi_message_t  *m;

    if (mailbox.child) {
        return;
    }

    job = (ngx_http_wsgi_job_t *) nj;

    ngx_http_wsgi_flight_ended(job);

    m = &job->end;

    m->job = job;
    m->type = NGX_HTTP_WSGI_MESSAGE_END;
    m->result = result;

    /*
     * After the last message there is nothing but memory to give back, and
     * that can wait until the loop wakes up for something else.  A file that
     * holds disk space cannot.
     */

    ngx_http_wsgi_push(m, !job->last || job->job.block->body_fd != -1);
}


/*
 * In the child of fork(): async-signal-safe calls only.  The memory is a copy
 * of the worker's, made while its loop ran; nginx invalidates a descriptor in
 * its connection before it closes it.
 */

static void
ngx_http_wsgi_host_forked(void)
{
    ngx_int_t         n;
    ngx_uint_t        i;
    ngx_cycle_t      *cycle;
    ngx_listening_t  *ls;

    mailbox.child = 1;

    cycle = (ngx_cycle_t *) ngx_cycle;

    for (i = 0; i < cycle->connection_n; i++) {
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

    for (i = 0; i < mailbox.nforked; i++) {
        (void) close(mailbox.forked[i]);
    }
}


uint64_t
ngx_http_wsgi_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
ngx_http_wsgi_push(ngx_http_wsgi_message_t *m, ngx_uint_t wake)
{
    uint64_t  one = 1;

    if (mailbox.child) {
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


/* The rest runs on the loop. */


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
ngx_http_wsgi_credit(ngx_http_wsgi_job_t *job, size_t n)
{
    (void) __atomic_sub_fetch(&job->unsent, n, __ATOMIC_SEQ_CST);

    if (__atomic_load_n(&job->waiting, __ATOMIC_SEQ_CST)) {
        (void) pthread_mutex_lock(&job->mutex);
        (void) pthread_cond_signal(&job->cond);
        (void) pthread_mutex_unlock(&job->mutex);
    }
}


void
ngx_http_wsgi_set_over(ngx_http_wsgi_job_t *job)
{
    __atomic_store_n(&job->over, 1, __ATOMIC_SEQ_CST);

    ngx_http_wsgi_credit(job, 0);
}


void
ngx_http_wsgi_free_message(ngx_http_wsgi_message_t *m)
{
    if (m->owner) {
        ngx_http_wsgi_process.runtime->release(m->owner);
    }

    if (m->spare) {
        ngx_http_wsgi_put_spare(m);
        return;
    }

    free(m);
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


ngx_fd_t
ngx_http_wsgi_init_host(ngx_cycle_t *cycle)
{
    mailbox.fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (mailbox.fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "eventfd() failed");
        return NGX_INVALID_FILE;
    }

    ngx_http_wsgi_find_forked(cycle);

    return mailbox.fd;
}


/*
 * All descriptors that are open now are nginx's.  None of them is for the
 * programs that an application starts; and those that nginx keeps to itself,
 * epoll's and the like, are noted for forked().
 */

static void
ngx_http_wsgi_find_forked(ngx_cycle_t *cycle)
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
            && mailbox.nforked < NGX_HTTP_WSGI_MAX_FORKED)
        {
            mailbox.forked[mailbox.nforked++] = fd;
        }
    }

    (void) closedir(dir);
}
