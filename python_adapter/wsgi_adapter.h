/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_adapter.h: the adapter's C side, as the Go side of this package sees
 * it.  It includes no Python.h, so that gosrc can be read without it: Python
 * objects do not cross, threads are named by their slot and applications by
 * their index in nwsgi_config_t.apps.
 *
 * Go decides, C loops: Go creates the threads (locked goroutines), says when
 * one is to leave and when another has to take its place; the queue, the run
 * loop and the hand-back, which every request passes, are C.
 */

#ifndef WSGI_ADAPTER_H
#define WSGI_ADAPTER_H

#include "nwsgi.h"


#define WSGI_MAX_SLOTS  4096     /* threads of all pools, replaced ones too */


/* The host table, set by nwsgi_runtime(); NULL before that. */
extern const nwsgi_host_t  *wsgi_host;


/*
 * Interpreter (wsgi_start.c).  python: the one locked thread that Go calls the
 * main thread; it starts and ends Python and is threading.main_thread().
 *
 * wsgi_start_python: PyConfig from "conf"; afterwards the thread holds the GIL.
 * NWSGI_OK, or NWSGI_ERROR with a sentence in "err" (always NUL-terminated).
 */
int32_t wsgi_start_python(const nwsgi_config_t *conf, char *err, size_t len);


/*
 * The built-in module "_ngx_wsgi" (wsgi_module.c).  wsgi_start_python() adds it
 * with PyImport_AppendInittab("_ngx_wsgi", wsgi_module_create) before it
 * initializes Python.  It has the types, RequestTimeout, ClientDisconnected,
 * the streams stdout and stderr, and forked().  The declaration is hidden from
 * cgo because it names a Python type.
 */
#ifdef Py_PYTHON_H
PyObject *wsgi_module_create(void);
#endif

/*
 * What the threads need (wsgi_module.c).  GIL held, after wsgi_start_python(),
 * before the first wsgi_thread_run().  "boot" is the PyObject * of the module
 * ngx_wsgi_boot, borrowed; its functions are called from C:
 *
 *   load(index)                  -> the WSGI callable, or raises
 *   failure(index, phase, exc)   -> str for the error log: one line "what
 *                                   happened", then the traceback
 *   stack(ident)                 -> str: the Python stack of that thread
 *   thread_started(name)         -> None; in each new thread of a pool
 *   breathe()                    -> None; see wsgi_call.c
 *   file_range(file)             -> (descriptor, offset, length) of a regular
 *                                   file from its position on, or None
 *
 * "ident" is nwsgi_config_t.ident and becomes SERVER_SOFTWARE.
 * 0, or -1 with a Python exception set.
 */
int wsgi_module_init(void *boot, const nwsgi_config_t *conf);

/* GIL held, at the end: drops every Python object that C holds. */
void wsgi_module_free(void);


/*
 * Queues (wsgi_queue.c).  go, before the first submit(): one queue per pool.
 * "conf" is borrowed.  0, or -1: no memory.
 */
int wsgi_queue_init(const nwsgi_config_t *conf);

/*
 * go.  No job is taken any more, submit() answers NWSGI_ERROR; threads leave
 * when they have ended what they run and the queue is empty.
 */
void wsgi_queue_close(void);

/*
 * go.  When no thread will ever come (Python did not start): closes the queues
 * and ends what waits in them with NWSGI_ERROR.
 */
void wsgi_queue_fail(void);

/*
 * go.  When no thread will come for long: ends what waits in the queues with
 * NWSGI_BUSY, and answers so to submit() from now on.
 */
void wsgi_queue_refuse(void);


/*
 * Threads (wsgi_thread.c).
 *
 * wsgi_thread_run: go, on a locked OS thread, without the GIL.  Attaches the
 * thread to Python and runs the jobs of "pool" until wsgi_queue_close() or
 * wsgi_thread_leave(); detaches, returns.  "slot" is the caller's choice, below
 * WSGI_MAX_SLOTS and used by no other living thread; "name" ("default-1") is
 * borrowed.  0, or -1: the thread could not be attached (logged).
 */
int wsgi_thread_run(uint32_t slot, uint32_t pool, const char *name);

/*
 * go (wsgi_spare.c).  0, or the errno for which "n" threads cannot be started
 * now, n <= WSGI_SPARE_MAX: tries it with threads that end at once.
 */
#define WSGI_SPARE_MAX  16

int wsgi_spare_room(uint32_t n);

/* go.  Returns when "n" threads are in this function; one group at a time. */
void wsgi_spare_gather(uint32_t n);

/*
 * go.  The thread is to leave when its present job has ended; an idle one at
 * once.  For a thread that was given up and has been replaced.
 */
void wsgi_thread_leave(uint32_t slot);

/*
 * A slot as others may see it, read without any lock: the values are of
 * about the same moment.  "serial" is 0 when the thread runs no job.
 */
typedef struct {
    uint64_t   serial;
    uint64_t   since;        /* milliseconds, CLOCK_MONOTONIC */
    uint64_t   ident;        /* threading.get_ident() */
    uint32_t   pool;
    uint32_t   app;
} wsgi_thread_info_t;

/* go, any.  1, or 0: no thread has this slot. */
int wsgi_thread_info(uint32_t slot, wsgi_thread_info_t *info);

/*
 * go, on a thread that may wait for the GIL, which this takes.  If the thread
 * of "slot" still runs job "serial": logs its Python stack with the request's
 * context, raises _ngx_wsgi.RequestTimeout (reason NWSGI_TIMEOUT) in it, unless
 * it has just begun to close the iterable, and returns 1.  For NWSGI_CANCEL:
 * RequestCancelled, and no stack, unless the iterable is being closed.  While
 * it imports an application the exception is put off until that has ended, and
 * this returns 0; as it does else.
 */
int wsgi_thread_interrupt(uint32_t slot, uint64_t serial, uint32_t reason);

/*
 * GIL held, on the thread that imports (any thread but the target's).  Raises
 * _ngx_wsgi.RequestTimeout in the thread with Python's identifier "ident" and
 * returns 1; 0: no such thread.
 */
int wsgi_thread_raise(unsigned long ident);


/*
 * go, any thread: waits for the GIL.  Tells the host where the threads are
 * whose requests have run for "age" milliseconds or longer.
 */
void wsgi_thread_note(uint64_t age);


/*
 * Stacks without the GIL (wsgi_dump.c).
 *
 * go, any thread: waits for a second at the most, never for the GIL.  Writes
 * into "buf", of "len" bytes, what faulthandler has to say of all threads of
 * Python, or the beginning of it; "*holder" is the identifier of the thread
 * that holds the GIL, 0 if nobody does.  The number of bytes; 0: the stacks
 * cannot be had, and perhaps the holder cannot.
 */
size_t wsgi_dump(uint64_t *holder, char *buf, size_t len);

/*
 * go, when Python has been finalized, and faulthandler with it: there are no
 * stacks any more, for wsgi_dump() and for the report of a crash.
 */
void wsgi_dump_end(void);


/*
 * Faults in C code (wsgi_crash.c).
 *
 * loop, in start(): Go has its handlers, and what is to come before them can
 * be put there.  Before Python starts, whose applications may have their own.
 */
void wsgi_crash_start(void);


/*
 * What C needs of Go, exported by gosrc.  Weak, so that the adapter's tests
 * link without gosrc.  Called on the loop; contracts in nwsgi.h.
 */
extern int32_t nwsgi_go_start(nwsgi_config_t *conf) __attribute__((weak));
extern int32_t nwsgi_go_check(nwsgi_config_t *conf) __attribute__((weak));
extern void nwsgi_go_interrupt(uint64_t serial, uint32_t reason)
    __attribute__((weak));
extern int32_t nwsgi_go_stop(uint32_t wait, uint32_t limit)
    __attribute__((weak));


#endif /* WSGI_ADAPTER_H */
