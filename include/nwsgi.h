/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * nwsgi.h: the only thing that the nginx module ("the host") and
 * libngx_wsgi.so ("the runtime") share.
 *
 * Two function tables are exchanged once, by nwsgi_runtime().  Every struct
 * that crosses begins with its own size, so that either side can tell what the
 * other knows.  Integers have fixed widths, times are milliseconds of
 * CLOCK_MONOTONIC unless a comment says otherwise, strings have lengths and
 * may hold any byte, NUL included.
 *
 * Threads.  Every function below names the thread that may call it:
 *
 *   loop     nginx's event loop.  Never takes the GIL, never waits.
 *   python   a thread that runs an application.  Calls the host table and
 *            the Python API, never nginx.  Never waits with the GIL held.
 *   go       a goroutine of the runtime, without the GIL.
 *
 * Ownership.  Who allocates frees.  "Borrowed" means: valid until the call
 * returns, the callee copies what it keeps.
 */

#ifndef NWSGI_H
#define NWSGI_H

#include <stddef.h>
#include <stdint.h>


/* Raised whenever a struct or a contract below changes its meaning. */
#define NWSGI_ABI  11

/*
 * The library carries this text, followed by the decimal ABI number and a NUL,
 * in its read-only data, so that "nginx -t" can tell a library of another
 * version without loading it: Go must not be loaded before fork().
 */
#define NWSGI_MARKER  "ngx_wsgi runtime, ABI "

#define NWSGI_SYMBOL  "nwsgi_runtime"


/* results */

#define NWSGI_OK        0
#define NWSGI_ERROR    -1    /* failed; the callee has logged why */
#define NWSGI_AGAIN    -2    /* not yet; what to do is said by the function */
#define NWSGI_BUSY     -3    /* refused: the queue is full */
#define NWSGI_GONE     -4    /* nobody wants the response any more */


/* log levels, equal to nginx's NGX_LOG_* and syslog's severities */

#define NWSGI_LOG_EMERG   1
#define NWSGI_LOG_ALERT   2
#define NWSGI_LOG_CRIT    3
#define NWSGI_LOG_ERR     4
#define NWSGI_LOG_WARN    5
#define NWSGI_LOG_NOTICE  6
#define NWSGI_LOG_INFO    7
#define NWSGI_LOG_DEBUG   8


/*
 * The request block: one self-contained piece of memory, filled by the loop,
 * then read-only.  It holds no pointer, so that it could live in memory shared
 * with another process; offsets count from the block's first byte.
 */

typedef struct {
    uint32_t         off;
    uint32_t         len;
} nwsgi_str_t;


/*
 * One environ entry with a str value (bytes decoded as latin-1, PEP 3333
 * "Unicode Issues").  Entries are applied in their order, a later one replaces
 * an earlier one of the same name.
 *
 * "hash" is for the runtime's cache of names.  The host keys it with a secret
 * of the process, so that clients cannot choose names that fall together.  As a
 * rule entries of one name have the same hash in all blocks of a process, and
 * others another; neither is promised, so names have to be compared.
 */

typedef struct {
    nwsgi_str_t      name;
    nwsgi_str_t      value;
    uint32_t         hash;
} nwsgi_var_t;


#define NWSGI_BLOCK_HEAD         0x01   /* the method is HEAD: no body */
#define NWSGI_BLOCK_BODY_MEMORY  0x02   /* the body is block->body */
#define NWSGI_BLOCK_BODY_FILE    0x04   /* the body is block->body_fd */
#define NWSGI_BLOCK_BODY_STREAM  0x08   /* the body comes by host->read() */
#define NWSGI_BLOCK_ACCESS       0x10   /* the application decides whether the
                                           request may go on: wsgi_access */

#define NWSGI_UNKNOWN  UINT64_MAX       /* a body_len: chunked, not read yet */

typedef struct {
    uint32_t         size;             /* of the whole block, in bytes */
    uint32_t         flags;            /* NWSGI_BLOCK_* */
    uint64_t         serial;           /* of the request in this worker, > 0 */
    uint64_t         queued_usec;      /* wall clock at submit(), since 1970 */
    uint64_t         body_len;         /* bytes of request body */
    int32_t          body_fd;          /* host's, open until end(); read with
                                          pread() only, or -1 */
    uint32_t         app;              /* index into nwsgi_config_t.apps */
    nwsgi_str_t      body;
    nwsgi_str_t      client;           /* the next three are for log lines */
    nwsgi_str_t      method;
    nwsgi_str_t      uri;
    uint32_t         nvars;
    nwsgi_var_t      vars[];           /* the text follows the last one */
} nwsgi_block_t;


static inline const uint8_t *
nwsgi_data(const nwsgi_block_t *block, nwsgi_str_t s)
{
    return (const uint8_t *) block + s.off;
}


/*
 * A job: one request on its way through a pool.  The host allocates it, as the
 * first member of a struct of its own, and counts two references: the loop's
 * and the runtime's.  The runtime's begins with a submit() that returns
 * NWSGI_OK and ends with withdraw() that returns NWSGI_OK, or with end().
 */

typedef struct nwsgi_job_s  nwsgi_job_t;

struct nwsgi_job_s {
    const nwsgi_block_t  *block;       /* set by the host before submit() */
    nwsgi_job_t          *next;        /* the runtime's, under its queue lock */
    nwsgi_job_t          *prev;
    uint32_t              pool;        /* index into nwsgi_config_t.pools */
    uint32_t              queued;      /* the runtime's, under its queue lock */
};


/*
 * What an application sends: the head, or a piece of the body, or both, and
 * whether it was the last.  All pointers are borrowed, but for "body" when
 * "owner" is not 0: then the host may refer to these bytes until it has called
 * release(owner), which it does exactly once, even if send() fails.
 */

typedef struct {
    const char      *name;
    const char      *value;
    uint32_t         name_len;
    uint32_t         value_len;
} nwsgi_field_t;


#define NWSGI_SEND_HEAD  0x01    /* status, reason, fields are set: once */
#define NWSGI_SEND_LAST  0x02    /* the response is complete */
#define NWSGI_SEND_FILE  0x04    /* the body is body_len bytes of "fd", from
                                    "offset" on; send() duplicates it, "owner"
                                    is set, too; the whole body: LAST is set;
                                    to HEAD as to GET, the host sends none */

typedef struct {
    uint32_t             size;
    uint32_t             flags;            /* NWSGI_SEND_* */
    uint32_t             status;           /* 100 to 999 */
    uint32_t             nfields;
    const nwsgi_field_t *fields;           /* validated, no hop-by-hop ones and
                                              no Content-Length among them */
    const char          *reason;           /* after "200 ", may be empty */
    uint64_t             reason_len;
    int64_t              content_length;   /* -1: not known */
    const void          *body;
    uint64_t             body_len;
    uint64_t             owner;            /* 0: the host copies */
    int64_t              offset;           /* of NWSGI_SEND_FILE */
    int32_t              fd;
    uint32_t             user_len;         /* NWSGI_BLOCK_ACCESS, with a 2xx: */
    const char          *user;             /* environ['REMOTE_USER'] or NULL */
} nwsgi_message_t;


#define NWSGI_DRAIN_SOON  0x01   /* clients' idle connections and the worker's
                                    turn are not waited for */

/*
 * The host table: nginx as the runtime sees it.  No function waits, but for
 * wait().  All may be called at once from any number of threads.
 */

typedef struct {
    uint32_t         size;
    uint32_t         abi;

    /*
     * python, go.  Logs "len" bytes of text at "level", split into lines, with
     * the context of the request if "job" is not NULL.  "text" is borrowed.
     * The order of log() and send() calls of one thread is kept.
     */
    void           (*log)(nwsgi_job_t *job, uint32_t level, const char *text,
                          size_t len);

    /*
     * go.  As log(), of the request with this serial, if that is still known:
     * for those who may not touch its job, which can end at any moment.
     */
    void           (*record)(uint64_t serial, uint32_t level,
                             const char *text, size_t len);

    /*
     * go, once: what start() has begun has ended.  Python runs and the
     * applications are imported, but for "failures" of those that start() had
     * to import; or there is no Python, and "failures" is napps.
     */
    void           (*ready)(uint32_t failures);

    /*
     * python, go.  This worker has to be replaced.  It finishes what it has,
     * quits when it is its turn among the workers, and nginx starts another.
     * "reason", "len" bytes, goes into the log, at most 255 of them, and is
     * borrowed.  "flags" are NWSGI_DRAIN_*.  Further calls with the same flags
     * do nothing.  Without a master process this is logged and nothing more.
     */
    void           (*drain)(const char *reason, size_t len, uint32_t flags);

    /*
     * python, go.  1: requests that come from now on wait, outside of this
     * worker, for hold(0) or for what replaces it; those that have come run on.
     * The last of several calls holds good.
     */
    void           (*hold)(uint32_t on);

    /*
     * any thread, also in the handler of a signal.  What the thread that has
     * this identifier in Python (threading.get_ident()) is doing, for the
     * report of its request if this process dies.  "text" is borrowed.  Only
     * async-signal-safe calls.
     */
    void           (*where)(uint64_t thread, const char *text, size_t len);

    /*
     * python.  The application is about to be called: wsgi_timeout begins.
     * NWSGI_OK, or NWSGI_GONE: it is not to be called, end() is next.
     */
    int32_t        (*begin)(nwsgi_job_t *job);

    /*
     * python, with or without the GIL.  Hands a message to the loop.
     *
     * NWSGI_OK; NWSGI_AGAIN: taken, but wait() has to be called before the
     * next send(); NWSGI_GONE: dropped, nobody wants the rest; NWSGI_ERROR: no
     * memory, the response is cut.
     */
    int32_t        (*send)(nwsgi_job_t *job, const nwsgi_message_t *msg);

    /*
     * python, without the GIL.  Returns when the client has taken enough of
     * what was sent (NWSGI_OK), or NWSGI_GONE.  Does not count as time of the
     * application for wsgi_timeout.
     */
    int32_t        (*wait)(nwsgi_job_t *job);

    /*
     * python, without the GIL.  The next bytes of a NWSGI_BLOCK_BODY_STREAM
     * body, at most "len", as soon as there are any.  > 0; 0: the body has
     * ended; NWSGI_GONE: the client has gone before that.  Does not count as
     * time of the application for wsgi_timeout.
     */
    int64_t        (*read)(nwsgi_job_t *job, void *buf, uint64_t len);

    /*
     * python.  Sends a 103 (Early Hints) response with these fields, which are
     * borrowed and validated; before the head only.  NULL when this nginx
     * cannot send them.  NWSGI_OK; NWSGI_GONE; or NWSGI_ERROR: dropped, there
     * were too many of them, which has been logged, or there is no memory.
     */
    int32_t        (*early_hints)(nwsgi_job_t *job,
                                  const nwsgi_field_t *fields,
                                  uint32_t nfields);

    /*
     * python, with or without the GIL.  1 when nobody wants the response any
     * more (the client has gone, or the time was over), else 0.
     */
    int32_t        (*gone)(nwsgi_job_t *job);

    /*
     * python.  The runtime's reference ends; "job" and its block must not be
     * touched again.  "result" is NWSGI_OK, or NWSGI_ERROR: the application
     * failed, and the failure has been logged; a response whose head was not
     * sent becomes 500, one that is not complete is cut.  Also on go, for a
     * job that no thread has taken, with NWSGI_ERROR, or with NWSGI_BUSY: 503.
     */
    void           (*end)(nwsgi_job_t *job, int32_t result);

    /*
     * python, in the child of fork().  Closes nginx's descriptors in this
     * child, so that it does not keep clients' connections and listening
     * sockets open, and makes log() write to the standard error.  Only
     * async-signal-safe calls.
     */
    void           (*forked)(void);
} nwsgi_host_t;


/* The configuration.  Strings end in NUL; those that are not set are NULL. */

typedef struct {
    uint32_t         size;
    uint32_t         threads;          /* > 0 */
    uint32_t         queue;            /* jobs that may wait for a thread */
    const char      *name;
} nwsgi_pool_conf_t;


typedef struct {
    uint32_t         size;
    uint32_t         preload;          /* 1: import in start() */
    const char      *target;           /* "module", "module:callable",
                                          "module:factory()" or "/path/x.py" */
    const char      *callable;         /* of a script; NULL: "application" */
    const char *const *middleware;     /* "module:callable" each; the first is
                                          the outermost */
    uint32_t         nmiddleware;
} nwsgi_app_conf_t;


typedef struct {
    const char      *name;
    const char      *value;
} nwsgi_env_t;


typedef struct {
    uint32_t                  size;
    uint32_t                  optimize;          /* 0, 1, 2 as python -O */
    uint32_t                  start_timeout;     /* of an import */
    uint32_t                  shutdown_timeout;
    uint32_t                  workers;           /* > 1: wsgi.multiprocess */
    uint32_t                  check;             /* 1: wsgi_check import */
    uint32_t                  reloading;         /* 1: changed source files
                                                    call for drain() */
    uint32_t                  npools;
    uint32_t                  napps;
    uint32_t                  nenv;
    uint32_t                  npath;
    uint32_t                  ident_len;
    const char               *ident;             /* "nginx/1.22.1" */
    const char               *home;
    const char               *executable;
    const char               *directory;
    const char *const        *path;
    const nwsgi_env_t        *env;
    const nwsgi_pool_conf_t  *pools;             /* [0] is "default" */
    const nwsgi_app_conf_t   *apps;
} nwsgi_config_t;


/* why a job is interrupted */

#define NWSGI_TIMEOUT  1         /* wsgi_timeout has passed */
#define NWSGI_CANCEL   2         /* the client has gone: wsgi_cancel raise */

/*
 * The runtime table.  All functions are called on the loop, if they say
 * nothing else, and none waits, but for stop().
 */

typedef struct {
    uint32_t         size;
    uint32_t         abi;

    /*
     * Begins to start Python, the pools' threads and the imports, and returns
     * at once.  "conf" is borrowed.  Once in a process.  NWSGI_OK; or
     * NWSGI_ERROR: this worker has no Python, submit() must not be called.
     */
    int32_t        (*start)(const nwsgi_config_t *conf);

    /*
     * Instead of start(), and with nothing after it, in a process that was
     * forked for this: starts Python, imports all applications, whatever
     * "preload" says, each within start_timeout, and runs atexit.  Waits for
     * all that.  Returns how many applications cannot be imported, or
     * NWSGI_ERROR: Python does not start; host->log() was told why.
     */
    int32_t        (*check)(const nwsgi_config_t *conf);

    /*
     * Queues a job.  NWSGI_OK: the runtime has a reference; it may begin at
     * once, and has to after kick().  NWSGI_BUSY: the queue is full, or the
     * threads do not come back.
     * NWSGI_ERROR: Python did not start.
     */
    int32_t        (*submit)(nwsgi_job_t *job);

    /*
     * Wakes threads for what was submitted: once after a batch of submit()s,
     * so that many requests that arrive together cost one wake-up.
     */
    void           (*kick)(void);

    /*
     * Takes a job out of its queue.  NWSGI_OK: it will not run, the runtime's
     * reference has ended; NWSGI_AGAIN: a thread has taken it, end() will come.
     */
    int32_t        (*withdraw)(nwsgi_job_t *job);

    /*
     * The host has given a running job up (gone() is 1 already).  Raises an
     * exception in its thread, after writing its Python stack to the log when
     * the reason is NWSGI_TIMEOUT; a thread that does not come back is replaced
     * by another.  An import, which others wait for as well, is not ended: its
     * job is, after it.  Nothing happens if the job has ended in the meantime.
     */
    void           (*interrupt)(nwsgi_job_t *job, uint32_t reason);

    /*
     * The host has done with the bytes of a message that had this owner.  Also
     * called by python, in a send() that does not take its message.
     */
    void           (*release)(uint64_t owner);

    /*
     * Ends Python: running jobs are waited for, threading's shutdown and
     * atexit run, all within shutdown_timeout, and within "limit" milliseconds
     * if that is not 0: nginx's master kills a worker that does not terminate.
     * The first call begins it, and its "limit" is the one that counts; each
     * waits for "wait" milliseconds at the most.  NWSGI_AGAIN: call again (and
     * write the log meanwhile); NWSGI_OK: Python has ended; NWSGI_ERROR: it
     * could not be ended in time, the process has to _exit().
     */
    int32_t        (*stop)(uint32_t wait, uint32_t limit);
} nwsgi_runtime_t;


/*
 * nwsgi_runtime: exchanges the tables; the only symbol of the library.
 *
 * loop, once in a process, after fork().  "host" has to stay valid for as long
 * as the process lives.  NULL if host->abi or host->size is not what this
 * library was built for.  The table returned is static.
 */

typedef const nwsgi_runtime_t *(*nwsgi_runtime_pt)(const nwsgi_host_t *host);

const nwsgi_runtime_t *nwsgi_runtime(const nwsgi_host_t *host);


#endif /* NWSGI_H */
