/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_python.h: what the C files of the adapter share among themselves.
 *
 * Unless a comment says otherwise, every function here runs on a python thread
 * with the GIL held, and reports failure by -1 or NULL with a Python exception
 * set.
 */

#ifndef WSGI_PYTHON_H
#define WSGI_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "wsgi_adapter.h"
#include "wsgi_compat.h"


typedef struct wsgi_thread_s   wsgi_thread_t;
typedef struct wsgi_request_s  wsgi_request_t;
typedef struct wsgi_input_s    wsgi_input_t;


/*
 * A callable bound to the present request.  "request" is cut when the response
 * has ended, so that a callable which the application kept raises instead of
 * reaching a request that is no more.
 */

typedef struct {
    PyObject_HEAD
    vectorcallfunc   vectorcall;
    wsgi_request_t  *request;
} wsgi_link_t;


typedef enum {
    WSGI_START_RESPONSE = 0,
    WSGI_WRITE,
    WSGI_DISCONNECTED,          /* environ['nginx.disconnected'] */
    WSGI_EARLY_HINTS,           /* environ['wsgi.early_hints'] */
    WSGI_NLINKS
} wsgi_link_e;


typedef enum {
    WSGI_NOT_STARTED = 0,       /* start_response() was not called */
    WSGI_STARTED,               /* it was; nothing has been sent */
    WSGI_SENT,                  /* the head and maybe some of the body have */
    WSGI_COMPLETE               /* the host has all, the rest is dropped */
} wsgi_state_e;


/*
 * The head as start_response() received it.  The fields point into the str
 * objects of "refs": a str without characters above U+00FF is its own latin-1
 * encoding.
 */

typedef struct {
    uint32_t          code;
    uint32_t          nfields;
    uint32_t          size;             /* of fields; refs has 2 * size + 1 */
    uint32_t          nrefs;
    int64_t           content_length;   /* -1: the application gave none */
    nwsgi_str_t       reason;           /* within the status, refs[0] */
    nwsgi_field_t    *fields;
    PyObject        **refs;
} wsgi_head_t;


/* A request in the hands of its thread; lives on that thread's stack. */

struct wsgi_request_s {
    nwsgi_job_t           *job;
    const nwsgi_block_t   *block;
    wsgi_thread_t         *thread;
    wsgi_head_t           *head;        /* the thread's, reused */
    PyObject              *environ;     /* NWSGI_BLOCK_ACCESS: see user */
    wsgi_state_e           state;
    int                    gone;        /* nobody wants the response any more */
    int                    handed;      /* the result is the host's to close */
    uint64_t               closing;     /* since when, msec; 0: not yet */
    int64_t                left;        /* of Content-Length; -1: not known */
    uint32_t               chunks;      /* that the iterable gave, also empty */
};


/* The request body (wsgi_body.c).  "buffer" is ours, the window may be. */

typedef struct {
    wsgi_request_t   *request;
    const uint8_t    *pos;              /* the window */
    const uint8_t    *end;
    uint64_t          offset;           /* of the window's end in the body */
    uint8_t          *buffer;           /* or NULL */
} wsgi_body_t;


/*
 * A thread of a pool.  Owned by the thread itself, on its stack.  "idle_next",
 * "woken" and "asleep" belong to the lock of its queue, the rest to the GIL.
 */

struct wsgi_thread_s {
    uint32_t          slot;
    uint32_t          pool;
    unsigned long     ident;            /* threading.get_ident() */
    uint32_t          interrupted;      /* the reason an exception was raised */
    uint32_t          postponed;        /* the reason one was not: it imports */
    int               importing;        /* an application, for all threads */
    wsgi_request_t   *request;          /* NULL: between two jobs */
    wsgi_head_t       head;

    /* kept from one request to the next if no application has a reference */
    wsgi_link_t      *links[WSGI_NLINKS];
    wsgi_input_t     *input;

    pthread_cond_t    wake;
    wsgi_thread_t    *idle_next;
    int               asleep;
    int               woken;
};


/* What C keeps of Python; filled by wsgi_module_init(). */

typedef struct {
    PyObject         *boot;             /* the module ngx_wsgi_boot */

    PyTypeObject     *link_types[WSGI_NLINKS];
    PyTypeObject     *input_type;
    PyTypeObject     *errors_type;
    PyTypeObject     *file_wrapper_type;

    PyObject         *request_timeout;  /* exception classes */
    PyObject         *request_cancelled;
    PyObject         *client_disconnected;

    PyObject         *errors;           /* wsgi.errors and sys.stderr */
    PyObject         *remote_user;      /* the str "REMOTE_USER" */

    uint32_t          npools;
    PyObject        **environs;         /* environ's constants, by pool */
    uint32_t          napps;
    PyObject        **apps;             /* NULL: not loaded yet */
} wsgi_module_t;

extern wsgi_module_t  wsgi;

/* wsgi_queue.c */

/*
 * The next job for this thread, or NULL: it has to leave.  Holds the GIL on
 * entry and on return, and gives it up while it waits.
 */
nwsgi_job_t *wsgi_queue_next(wsgi_thread_t *self);

/* any thread, GIL or not: wakes "thread", or any one, if it is asleep */
void wsgi_queue_wake(wsgi_thread_t *thread);
void wsgi_queue_wake_any(void);

/* loop: see nwsgi_runtime_t */
int32_t wsgi_queue_submit(nwsgi_job_t *job);
int32_t wsgi_queue_withdraw(nwsgi_job_t *job);
void wsgi_queue_kick(void);


/* wsgi_thread.c */

/* The present thread's request, or NULL; any thread, no GIL needed. */
wsgi_request_t *wsgi_thread_request(void);

/*
 * The present thread imports an application from now on, or no more (0): the
 * end of its request waits for that.  GIL held; not for threads of no pool.
 */
void wsgi_thread_imports(int importing);

/*
 * The thread is back from what may have imported.  The reason for which it was
 * to be interrupted meanwhile, or 0.  GIL held.
 */
uint32_t wsgi_thread_imported(wsgi_thread_t *self);

/* The exception of a reason, NWSGI_TIMEOUT or NWSGI_CANCEL; borrowed. */
PyObject *wsgi_thread_exception(uint32_t reason);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t wsgi_thread_now(void);

/* 1: the thread has been told to leave by wsgi_thread_leave() */
int wsgi_thread_leaving(const wsgi_thread_t *self);

/* The slot's thread runs this block from now on; NULL: none. */
void wsgi_thread_runs(wsgi_thread_t *self, const nwsgi_block_t *block);


/* wsgi_call.c: runs one job to its end, including host->end() */
void wsgi_call(wsgi_thread_t *self, nwsgi_job_t *job);

/*
 * Logs the exception that is set, with its traceback and the request's
 * context, and clears it.  "phase" is "import", "call", "iteration" or "close".
 */
void wsgi_call_failed(wsgi_request_t *request, const char *phase);


/* Calls the close() of an iterable, if it has one. */
int wsgi_call_close(PyObject *result);


/* wsgi_environ.c */

int wsgi_environ_init(const nwsgi_config_t *conf);
void wsgi_environ_free(void);
PyObject *wsgi_environ_new(wsgi_request_t *request);


/* wsgi_names.c: a cache of environ's keys, and of each key's last value */

/*
 * The key and the value of one variable, new references.  The cache holds a
 * bounded number of keys, those that were used last; what it does not hold is
 * made anew.
 */
int wsgi_names_get(const nwsgi_block_t *block, const nwsgi_var_t *var,
    PyObject **key, PyObject **value);
void wsgi_names_free(void);


/* wsgi_head.c */

/*
 * Takes over the arguments of start_response(), replacing what was there.
 * Validation is in wsgi_validate.c.
 */
int wsgi_head_set(wsgi_request_t *request, PyObject *status,
    PyObject *headers);
/* The fields alone; "head" is empty or was cleared. */
int wsgi_head_fields(wsgi_request_t *request, wsgi_head_t *head,
    PyObject *headers);

/*
 * The latin-1 bytes of a str, borrowed from it (PEP 3333, "Unicode Issues").
 * 0; -1: it is none, or has other characters, the exception says so of "what".
 */
int wsgi_head_text(PyObject *str, const char *what, const char **p,
    uint32_t *len);

void wsgi_head_clear(wsgi_head_t *head);
void wsgi_head_free(wsgi_head_t *head);


/* wsgi_validate.c: pure functions on bytes with a length */

/* The code of a status, "999 Reason", or 0 with ValueError set. */
uint32_t wsgi_validate_status(const uint8_t *p, size_t len);
int wsgi_validate_name(const uint8_t *p, size_t len);
int wsgi_validate_value(const uint8_t *name, size_t name_len,
    const uint8_t *p, size_t len);
/* The number, or -1 with ValueError set. */
int64_t wsgi_validate_length(const uint8_t *p, size_t len);
/* no exception: 1 if RFC 9110 section 7.6.1 reserves the name for the hop */
int wsgi_validate_hop_by_hop(const uint8_t *p, size_t len);
/* case-insensitive; "lower" is in lower case */
int wsgi_validate_is(const uint8_t *p, size_t len, const char *lower);


/* wsgi_response.c: the state machine between the application and the host */

/*
 * Sends a chunk, after the head if that was not sent.  Waits, without the GIL,
 * for a slow client.
 */
int wsgi_response_chunk(wsgi_request_t *request, PyObject *chunk);

/* The body will have "n" bytes: Content-Length, if it is not too late. */
void wsgi_response_length(wsgi_request_t *request, int64_t n);

/*
 * Hands a file over to the host, which sends it; "result" is closed when that
 * has been done.  1; 0: "result" is no file, it has to be iterated; -1.
 */
int wsgi_response_file(wsgi_request_t *request, PyObject *result);

/* The application has said all: sends what is left to send. */
int wsgi_response_end(wsgi_request_t *request);

/* 1: nothing that the application may still yield would be sent */
int wsgi_response_over(const wsgi_request_t *request);


/* wsgi_fork.c */

/* 1 in a process that an application forked: it must not serve requests. */
extern int            wsgi_forked;

/*
 * Ends such a process, as a script ends: by the exception that is set, if one
 * is.  Wherever code of an application comes back, and before anything that is
 * the parent's is touched.
 */
void wsgi_fork_end(void) __attribute__((noreturn));


/* wsgi_owner.c: what the host sends from, until it has given it back */

/*
 * A reference for the host, nwsgi_message_t.owner; 0: no memory.  "close": its
 * close() has to be called when it is given back.
 */
uint64_t wsgi_owner_new(PyObject *object, int close);

/* loop: nwsgi_runtime_t.release */
void wsgi_owner_release(uint64_t owner);

/* any thread: 1, if there is something to drop */
int wsgi_owner_waiting(void);

/* Drops what was given back and is to be closed, or is not. */
void wsgi_owner_drop(int close);
void wsgi_owner_drop_all(void);


/* wsgi_start_response.c: vectorcall functions of links */

PyObject *wsgi_start_response(PyObject *self, PyObject *const *args,
    size_t nargsf, PyObject *kwnames);
PyObject *wsgi_write(PyObject *self, PyObject *const *args, size_t nargsf,
    PyObject *kwnames);


/* wsgi_link.c: the callables that are bound to a request */

/* The request, or NULL: it has ended, or runs in another thread. */
wsgi_request_t *wsgi_link_request(PyObject *self);

int wsgi_link_init(PyObject *module);
int wsgi_link_bind(wsgi_thread_t *self, wsgi_request_t *request);
void wsgi_link_cut(wsgi_thread_t *self);
void wsgi_link_free(wsgi_thread_t *self);


/*
 * wsgi_body.c.  "size" is -1 for all.  The methods mean what io's mean; only
 * the thread that runs the request may call them.
 */

void wsgi_body_open(wsgi_body_t *body, wsgi_request_t *request);
void wsgi_body_free(wsgi_body_t *body);
PyObject *wsgi_body_read(wsgi_body_t *body, Py_ssize_t size);
PyObject *wsgi_body_read1(wsgi_body_t *body, Py_ssize_t size);
PyObject *wsgi_body_line(wsgi_body_t *body, Py_ssize_t size);
/* the number of bytes, fewer than "n" only at the end; -1 */
Py_ssize_t wsgi_body_readinto(wsgi_body_t *body, uint8_t *p, Py_ssize_t n);


/* wsgi_input.c */

int wsgi_input_init(PyObject *module);
int wsgi_input_bind(wsgi_thread_t *self, wsgi_request_t *request);
void wsgi_input_cut(wsgi_thread_t *self);


/* wsgi_errors.c */

int wsgi_errors_init(PyObject *module);

/* Logs what the present thread has written without a newline. */
void wsgi_errors_flush(void);

/* A str as bytes for the log, whatever characters it has; a new reference. */
PyObject *wsgi_errors_encode(PyObject *str);


/* wsgi_file.c */

int wsgi_file_init(PyObject *module);

/*
 * The part of a regular file that a file_wrapper stands for: from its present
 * position to its end.  1, 0: it is nothing that can be sent like this; -1.
 */
int wsgi_file_range(PyObject *wrapper, int32_t *fd, int64_t *offset,
    int64_t *len);


/* wsgi_dump.c: see wsgi_adapter.h; once, before the applications */

int wsgi_dump_init(void);

/*
 * Of a process that is about to die, in the handler of a signal: as
 * wsgi_dump(), but in this process, and only async-signal-safe calls.
 */
size_t wsgi_dump_here(char *buf, size_t len);


/* wsgi_module.c */

/*
 * Creates a heap type from "spec", adds it to "module" and stores a reference
 * in "*type".
 */
int wsgi_module_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type);


#endif /* WSGI_PYTHON_H */
