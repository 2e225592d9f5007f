
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Jobs and messages: what the loop and Python threads give each other.
 * Included by ngx_http_wsgi_module.h.
 *
 *   _job.c        what a request leaves to Python threads, and its timer
 *   _orphan.c     what becomes of it when the request has gone
 *   _host.c       the host table: what Python threads may call (python)
 *   _mailbox.c    how that gets to the loop
 *   _fork.c       and not from the children of applications
 */


#ifndef _NGX_HTTP_WSGI_JOB_H_INCLUDED_
#define _NGX_HTTP_WSGI_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pthread.h>

#include <nwsgi.h>


typedef struct ngx_http_wsgi_job_s      ngx_http_wsgi_job_t;
typedef struct ngx_http_wsgi_ctx_s      ngx_http_wsgi_ctx_t;
typedef struct ngx_http_wsgi_message_s  ngx_http_wsgi_message_t;
typedef struct ngx_http_wsgi_flight_s   ngx_http_wsgi_flight_t;


/*
 * A message from a Python thread to the loop: one piece of memory with all it
 * holds.  The first one of a job that is not too large is written into a piece
 * that the loop has put there, others are malloc()ed by the thread; the loop
 * frees both.
 */

#define NGX_HTTP_WSGI_SPARE_SIZE  4096

typedef enum {
    NGX_HTTP_WSGI_MESSAGE_SEND = 0,
    NGX_HTTP_WSGI_MESSAGE_HINTS,
    NGX_HTTP_WSGI_MESSAGE_LOG,
    NGX_HTTP_WSGI_MESSAGE_READY,
    NGX_HTTP_WSGI_MESSAGE_DRAIN,
    NGX_HTTP_WSGI_MESSAGE_HOLD,
    NGX_HTTP_WSGI_MESSAGE_BODY,
    NGX_HTTP_WSGI_MESSAGE_END
} ngx_http_wsgi_message_e;


struct ngx_http_wsgi_message_s {
    ngx_http_wsgi_message_t        *next;
    ngx_http_wsgi_job_t            *job;               /* NULL: log() only */
    ngx_http_wsgi_message_e         type;

    uint32_t                        flags;             /* NWSGI_SEND_*; or
                                                          NWSGI_DRAIN_* */
    uint32_t                        status;
    uint32_t                        nfields;
    uint32_t                        level;             /* of a log message */
    int32_t                         result;            /* of end(), ready() */
    int64_t                         content_length;
    uint64_t                        serial;            /* of record() */
    uint64_t                        owner;
    size_t                          credit;            /* what send() took */
    off_t                           offset;            /* of NWSGI_SEND_FILE */
    ngx_fd_t                        fd;                /* the message's own */
    ngx_uint_t                      spare;             /* was the loop's */

    ngx_str_t                       reason;
    ngx_str_t                       user;              /* of wsgi_access */
    ngx_str_t                       body;              /* or text of a log, or
                                                          a reason */
    ngx_keyval_t                   *fields;            /* behind this */
};


/* The body on its way to Python threads, under the mutex of the job. */

typedef struct ngx_http_wsgi_piece_s  ngx_http_wsgi_piece_t;

typedef struct {
    ngx_http_wsgi_piece_t          *first;
    ngx_http_wsgi_piece_t         **last;
    size_t                          size;              /* bytes waiting */
    size_t                          limit;             /* the loop stops at */
    unsigned                        ended:1;           /* all is here */
    unsigned                        asked:1;           /* a message is out */
} ngx_http_wsgi_stream_t;


/*
 * What a request shares with Python threads.  Not in r->pool, since it may
 * outlive the request: malloc()ed with its block behind it, freed by the loop
 * when the request has let it go and end() or withdraw() has been.
 */

struct ngx_http_wsgi_job_s {
    nwsgi_job_t                     job;               /* is the first */

    /* loop only */

    ngx_queue_t                     queue;             /* all jobs */
    ngx_http_wsgi_ctx_t            *ctx;               /* NULL: let go */
    ngx_log_t                      *log;               /* of the location */
    size_t                          size;
    ngx_msec_t                      timeout;           /* wsgi_timeout */
    unsigned                        ended:1;
    unsigned                        timed_out:1;

    /* set before submit(), then read-only */

    uint32_t                        deaf;              /* wsgi_cancel off */
    ngx_http_wsgi_flight_t         *flight;            /* NULL: no entry */

    /* python and loop, atomic */

    size_t                          limit;             /* of "unsent" */
    uint32_t                        over;
    uint32_t                        waiting;           /* in wait(), read() */
    uint32_t                        reading;           /* in read() */
    uint64_t                        begun;             /* msec, 0: not yet */
    uint64_t                        progress;          /* msec */
    uint64_t                        unsent;            /* bytes, see send() */

    /* python only; the loop reads them after end() */

    uint32_t                        last;
    ngx_err_t                       starved;           /* of send(), or 0 */
    ngx_http_wsgi_message_t        *spare;             /* NULL: taken */
    size_t                          hinted;            /* bytes of 103 */

    pthread_mutex_t                 mutex;             /* wait(), read() */
    pthread_cond_t                  cond;

    ngx_http_wsgi_stream_t          stream;

    ngx_http_wsgi_message_t         ask;               /* for the body */
    ngx_http_wsgi_message_t         end;
};


/* _job.c */

/*
 * A job with "size" bytes behind it for a block.  NULL: no memory, logged.
 */
ngx_http_wsgi_job_t *ngx_http_wsgi_create_job(size_t size, ngx_log_t *log);

/* Frees a job that was never submitted, or has ended and been let go. */
void ngx_http_wsgi_free_job(ngx_http_wsgi_job_t *job);

/* The job that is queued or runs under this number, or NULL. */
ngx_http_wsgi_job_t *ngx_http_wsgi_find_job(uint64_t serial);

/* How many jobs have not begun. */
ngx_uint_t ngx_http_wsgi_count_waiting(void);

/* The status of a request that is refused, 503; adds "Retry-After". */
ngx_int_t ngx_http_wsgi_busy(ngx_http_request_t *r);

/* Hands the request's job to the runtime.  NGX_OK, or an HTTP status. */
ngx_int_t ngx_http_wsgi_submit(ngx_http_wsgi_ctx_t *ctx);

/*
 * Has nginx made something else of the request, whose job has not been let go?
 * So it does for "post_action" when the client has gone, and a filter that
 * answers by itself.
 */
ngx_uint_t ngx_http_wsgi_is_lost(ngx_http_wsgi_ctx_t *ctx);

/*
 * Cuts the link between request and job.  If the job has not ended, nobody
 * wants its response any more; if it has not begun, it never will.
 */
void ngx_http_wsgi_detach(ngx_http_wsgi_ctx_t *ctx);

/* The runtime's reference has ended. */
void ngx_http_wsgi_job_ended(ngx_http_wsgi_job_t *job);


/* _orphan.c: the job runs on without its request; wsgi_timeout still holds. */
void ngx_http_wsgi_watch_orphan(ngx_http_wsgi_job_t *job);


/* _mailbox.c */

/*
 * python.  Hands a message to the loop, and wakes it if it may be asleep and
 * "wake" is not 0.
 */
void ngx_http_wsgi_push(ngx_http_wsgi_message_t *m, ngx_uint_t wake);

/* python, go: of the host table */
void ngx_http_wsgi_host_log(nwsgi_job_t *nj, uint32_t level,
    const char *text, size_t len);
void ngx_http_wsgi_host_record(uint64_t serial, uint32_t level,
    const char *text, size_t len);
void ngx_http_wsgi_host_ready(uint32_t failures);

/* Before the library is loaded.  The eventfd, or -1: logged. */
ngx_fd_t ngx_http_wsgi_init_mailbox(ngx_cycle_t *cycle);

/*
 * Takes all messages that have come, the oldest first, linked by "next".
 * Threads that send one later wake the loop by the eventfd.
 */
ngx_http_wsgi_message_t *ngx_http_wsgi_take_messages(void);

/*
 * The loop will call ngx_http_wsgi_take_messages() before it sleeps: threads
 * need not wake it until then.
 */
void ngx_http_wsgi_stay_awake(void);

/* A log message was written: "len" bytes less are waiting. */
void ngx_http_wsgi_log_written(size_t len);

/* The lines that log() had to drop since the last call. */
uint32_t ngx_http_wsgi_log_lost(void);


/* _fork.c */

/* python.  1 in a child of fork(): there is no loop, and no runtime. */
extern volatile sig_atomic_t  ngx_http_wsgi_is_child;

/*
 * Before the library is loaded: notes what a child has to close, and has it
 * closed on exec().
 */
void ngx_http_wsgi_init_fork(ngx_cycle_t *cycle);

/*
 * In a worker: an application does not end it with exit code 2.  Not before the
 * library is loaded, from when on nginx does not unload the module.
 */
void ngx_http_wsgi_init_exit(void);

/* python, in a child: closes nginx's descriptors, but for the logs. */
void ngx_http_wsgi_close_inherited(void);

/* python, in a child: of the host table; what log() does there */
void ngx_http_wsgi_host_forked(void);
void ngx_http_wsgi_child_log(const char *text, size_t len);


/* _host.c */

extern const nwsgi_host_t  ngx_http_wsgi_host;

/*
 * python.  A message of send() in memory of its own, but for a body with an
 * owner; with a descriptor of its own, too, since an application may close a
 * file that others still are sent.  NULL: see errno.
 */
ngx_http_wsgi_message_t *ngx_http_wsgi_copy_message(
    ngx_http_wsgi_job_t *job, const nwsgi_message_t *msg);

/* Gives "n" bytes of "unsent" back and wakes the thread in wait(). */
void ngx_http_wsgi_credit(ngx_http_wsgi_job_t *job, size_t n);

/* python, under the job's mutex: tells the loop that the body is waited for */
void ngx_http_wsgi_ask_body(ngx_http_wsgi_job_t *job);

/*
 * gone() is 1 from now on, unless the job is deaf; a thread in wait() or
 * read() returns.
 */
void ngx_http_wsgi_set_over(ngx_http_wsgi_job_t *job);

/* Frees a message, but for that of end(), and what it lent. */
void ngx_http_wsgi_free_message(ngx_http_wsgi_message_t *m);

/* Gives a job its spare message, if there is memory; takes it back. */
void ngx_http_wsgi_get_spare(ngx_http_wsgi_job_t *job);
void ngx_http_wsgi_put_spare(ngx_http_wsgi_message_t *m);

/* python, loop.  Milliseconds of CLOCK_MONOTONIC. */
uint64_t ngx_http_wsgi_now(void);


#endif /* _NGX_HTTP_WSGI_JOB_H_INCLUDED_ */
