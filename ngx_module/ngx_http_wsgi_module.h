
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the module share.  Unless a comment says "python", every
 * function runs on the loop.
 *
 *   _module.c     directives, create and merge, start and end of the process
 *   _conf.c       the setters of directives that need more than a stock one;
 *                 _apps.c those that name applications
 *   _library.c    wsgi_library: finds, checks and loads libngx_wsgi.so
 *   _check.c      wsgi_check: imports the applications before they serve, in a
 *                 child: _import.c; _verdict.c: what of it can be believed
 *   _limits.c     what a process must have before Go and Python come into it
 *   _configure.c  what the runtime is told of the configuration
 *   _process.c    one worker: the runtime, the wake-ups, the end
 *   _zone.c       wsgi_zone: what workers know of each other; _flight.c: their
 *                 requests, for when they crash
 *   _job.h        jobs and messages, which the loop and Python threads give
 *                 each other: _job.c, _orphan.c, _host.c, _mailbox.c, _fork.c
 *   _handler.c    the life of a request
 *   _access.c     wsgi_access: the same in the access phase
 *   _client.c     notices that the client goes while its request waits
 *   _body.c       the body of "wsgi_request_buffering off"
 *   _block.c      request -> block: _environ.c and _address.c collect the CGI
 *                 variables, _fields.c the header fields; _hash.c: of names
 *   _response.h   messages -> client: _response.c, _head.c, _header.c,
 *                 _accel.c, _hints.c, _output.c, _spool.c, _file.c
 *   _log.c        log lines
 *   _variables.c  $wsgi_*
 */


#ifndef _NGX_HTTP_WSGI_MODULE_H_INCLUDED_
#define _NGX_HTTP_WSGI_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <nwsgi.h>

#include "ngx_http_wsgi_compat.h"
#include "ngx_http_wsgi_conf.h"
#include "ngx_http_wsgi_job.h"
#include "ngx_http_wsgi_response.h"


/* The request's side, in r->pool. */

struct ngx_http_wsgi_ctx_s {
    ngx_http_request_t             *request;
    ngx_http_wsgi_job_t            *job;               /* NULL: let go */
    ngx_http_wsgi_app_t            *app;
    ngx_http_wsgi_pool_t           *pool;
    ngx_http_wsgi_flight_t         *flight;            /* NULL: no entry */
    ngx_event_t                     timer;

    /* the body, see _output.c; sizes are credits of messages */

    ngx_http_wsgi_buf_t            *busy;
    ngx_http_wsgi_buf_t           **last_busy;
    ngx_http_wsgi_buf_t            *queue;
    ngx_http_wsgi_buf_t           **last_queued;
    ngx_http_wsgi_buf_t            *free;
    size_t                          busy_size;
    size_t                          queued;
    size_t                          owed;              /* not given back */

    ngx_temp_file_t                *spool;             /* NULL: none yet */
    off_t                           spool_pos;         /* what is not busy */
    off_t                           spool_max;         /* 0: no file */
    ngx_event_t                     spooling;

    off_t                           length;            /* promised, or -1 */
    off_t                           sent;              /* bytes of body */
    off_t                           client_sent;       /* by the connection,
                                                          when its timer was
                                                          set */

    ngx_uint_t                      status;            /* 0: no answer yet */
    ngx_table_elt_t                *fields;            /* of the response, all;
                                                          NULL: none yet */
    ngx_uint_t                      nfields;
    uint64_t                        submitted;         /* msec */
    uint64_t                        begun;
    uint64_t                        drained;
    uint64_t                        finished;

    ngx_str_t                       user;              /* of wsgi_access */
    ngx_int_t                       verdict;           /* of wsgi_access */

    unsigned                        access:1;          /* of wsgi_access */
    unsigned                        unlisted:1;        /* no flight was free */
    unsigned                        head_sent:1;
    unsigned                        replaced:1;        /* by a filter's own */
    unsigned                        taken:1;           /* not in the queue */
    unsigned                        streamed:1;        /* see _body.c */
    unsigned                        body_started:1;
    unsigned                        buffering:1;       /* until head_sent the
                                                          head may change it */
};


/* One worker process. */

typedef struct {
    const nwsgi_runtime_t          *runtime;           /* NULL: no Python */
    ngx_http_wsgi_main_conf_t      *conf;
    ngx_queue_t                     jobs;
    ngx_event_t                     posted;
    uint64_t                        serial;
    unsigned                        kick:1;
} ngx_http_wsgi_process_t;


static ngx_inline ngx_uint_t
ngx_http_wsgi_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


/*
 * What all imports, one after the other, may take, and "grace" beside them,
 * msec.  No time limit is so long that this or a time to come overflows.
 */

#define NGX_HTTP_WSGI_LONGEST  NGX_MAX_INT32_VALUE

static ngx_inline ngx_msec_t
ngx_http_wsgi_imports_time(ngx_http_wsgi_main_conf_t *mcf, ngx_msec_t grace)
{
    ngx_uint_t  n = ngx_max(mcf->apps.nelts, 1);

    return ngx_min(mcf->start_timeout, NGX_HTTP_WSGI_LONGEST / n) * n + grace;
}


extern ngx_module_t             ngx_http_wsgi_module;
extern ngx_http_wsgi_process_t  ngx_http_wsgi_process;


/* _library.c: also the core module that owns "wsgi_library" */

/*
 * In a worker: loads the library and exchanges tables.  NULL: logged.
 */
const nwsgi_runtime_t *ngx_http_wsgi_load_library(ngx_cycle_t *cycle,
    const nwsgi_host_t *host);


/* _check.c */

/*
 * In the master, "nginx -t" and the like, when the configuration has been
 * read: can its applications be imported?  NGX_CONF_OK, or NGX_CONF_ERROR:
 * logged.  Waits for a child.
 */
char *ngx_http_wsgi_check(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf);


/* _import.c */

/* the verdict: a line that begins with this, where others have their level */

#define NGX_HTTP_WSGI_CHECK_PASSED  '\001'
#define NGX_HTTP_WSGI_CHECK_FAILED  '\002'

/*
 * In the child of a check, whose log lines go to "fd", and its verdict.  Does
 * not return.
 */
void ngx_http_wsgi_check_child(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf, ngx_fd_t fd);


/* _limits.c */

/*
 * In a worker, or in what becomes one for a check, before the library is
 * loaded.  NGX_OK, or NGX_ERROR: Python must not be started here; logged.
 */
ngx_int_t ngx_http_wsgi_check_limits(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf);


/* _configure.c */

/* What the runtime is told of a configuration; lives in "pool". */
ngx_int_t ngx_http_wsgi_configure(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf, nwsgi_config_t *conf, ngx_pool_t *pool);


/* _process.c */

ngx_int_t ngx_http_wsgi_init_process(ngx_cycle_t *cycle);
void ngx_http_wsgi_exit_process(ngx_cycle_t *cycle);

/*
 * To be called when something was submitted: kicks the runtime at the end of
 * this turn of the loop, and looks for answers that came meanwhile.
 */
void ngx_http_wsgi_post(ngx_uint_t kick);


/* _handler.c */

ngx_int_t ngx_http_wsgi_handler(ngx_http_request_t *r);

/*
 * A context for a request that is to run this application.  NULL: it cannot,
 * which is logged, and the answer is 500.
 */
ngx_http_wsgi_ctx_t *ngx_http_wsgi_create_ctx(ngx_http_request_t *r,
    ngx_http_wsgi_app_t *app);

/*
 * Submits the request, which has a context, and as much of its body as the
 * application will get.  May finalize it.
 */
void ngx_http_wsgi_run(ngx_http_request_t *r);

/*
 * The only way to end a request that has a context: lets the job go, then
 * finalizes with "rc", an NGX_* or NGX_HTTP_* code, or cuts the response if
 * its head is out and "rc" says that it failed.
 */
void ngx_http_wsgi_finalize(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx,
    ngx_int_t rc);

/*
 * Lets the job go, and stops to watch for the client: the request goes on with
 * something else.
 */
void ngx_http_wsgi_leave(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx);

/*
 * The contexts that live in a request's pool, the newest first, whether r->ctx
 * has been cleared or not; those of subrequests are among them.  "cln" is where
 * to go on: r->pool->cleanup at first.  NULL: there are no more.
 */
ngx_http_wsgi_ctx_t *ngx_http_wsgi_next_ctx(ngx_pool_cleanup_t **cln);


/* _client.c */

/* Programs that the application starts do not get this connection. */
void ngx_http_wsgi_mark_connection(ngx_connection_t *c);

/*
 * While the request waits for Python: notices that the client goes, whatever
 * becomes of the body meanwhile.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_http_wsgi_watch_client(ngx_http_request_t *r);

/* Somebody else has the request now: the handler is nginx's again. */
void ngx_http_wsgi_unwatch_client(ngx_http_request_t *r);


/* _body.c: "wsgi_request_buffering off" */

/* python: host->read, see nwsgi.h */
int64_t ngx_http_wsgi_host_read(nwsgi_job_t *nj, void *buf, uint64_t len);

void ngx_http_wsgi_init_stream(ngx_http_request_t *r,
    ngx_http_wsgi_job_t *job);
void ngx_http_wsgi_free_stream(ngx_http_wsgi_job_t *job);

/* Reads the body, or reads on.  May finalize the request. */
void ngx_http_wsgi_want_body(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx);

/* The message of ngx_http_wsgi_ask_body() has come. */
void ngx_http_wsgi_body_asked(ngx_http_wsgi_job_t *job);

/*
 * Before the head of the response is sent, which says whether the connection is
 * kept: it is not if the body is left.  "last": the response is complete.
 */
void ngx_http_wsgi_leave_body(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx,
    ngx_uint_t last);

/* The request is let go, somebody else may answer it. */
void ngx_http_wsgi_forget_body(ngx_http_request_t *r,
    ngx_http_wsgi_ctx_t *ctx);


/* _access.c */

/* Adds the handler to the access phase, if there is use for it. */
ngx_int_t ngx_http_wsgi_init_access(ngx_conf_t *cf);

/*
 * The head of a response of an application of wsgi_access has come.
 * NGX_DECLINED: it is to be sent; NGX_OK: the request has gone on, and "m" has
 * been freed.
 */
ngx_int_t ngx_http_wsgi_decide(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);

/* Before the head of an answer of such an application is sent. */
void ngx_http_wsgi_refuse_body(ngx_http_request_t *r);

/* The name that wsgi_access has given the client, in r->pool, or NULL. */
ngx_str_t *ngx_http_wsgi_user(ngx_http_request_t *r);


/* _hash.c */

/* In a worker, before its first request: draws the key of its hash of names. */
void ngx_http_wsgi_init_hash(ngx_cycle_t *cycle);


/* _block.c */

/*
 * Makes a job with the block of this request.  NULL: logged.
 */
ngx_http_wsgi_job_t *ngx_http_wsgi_create_block(ngx_http_request_t *r);


/* _log.c */

/* Writes a message of log(). */
void ngx_http_wsgi_write_log(ngx_http_wsgi_message_t *m);

/*
 * Makes "log" one for a single entry, with what the block of the job says of
 * its request.
 */
void ngx_http_wsgi_set_job_log(ngx_http_wsgi_job_t *job, ngx_log_t *log);

/*
 * How much of "len" bytes, 4 or more, to log when the line goes on behind them:
 * all but a character of UTF-8 at the end that is not whole.  Any process.
 */
size_t ngx_http_wsgi_log_piece(u_char *p, size_t len);

/*
 * Copies text from *text on, until "end" or until there is no room between
 * "dst" and "last", which are 4 bytes apart at least; *text is what is left,
 * and the end of the copy is returned.  Control characters, in ASCII or UTF-8,
 * separators of lines, and what is not UTF-8, become \xHH.  Any process.
 */
u_char *ngx_http_wsgi_escape(u_char *dst, u_char *last, u_char **text,
    u_char *end);


/* _variables.c */

ngx_int_t ngx_http_wsgi_add_variables(ngx_conf_t *cf);


#include "ngx_http_wsgi_worker.h"


#endif /* _NGX_HTTP_WSGI_MODULE_H_INCLUDED_ */
