/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Owners: references to the objects whose memory, or file, the host sends from.
 *
 * The host gives them back on the loop, which must not drop them.  They are put
 * on a stack without a lock, from which python threads take all there is: those
 * that have nothing to do, those that look for their next job, and those that
 * are about to send more, so that a long response does not pile them up.
 *
 * A file has to be closed besides, which runs code of the application; that is
 * not done in the middle of another request.  So there are two stacks.
 */

#include "wsgi_python.h"


typedef struct wsgi_owner_s  wsgi_owner_t;

struct wsgi_owner_s {
    PyObject      *object;
    int            close;           /* object.close() is to be called */
    wsgi_owner_t  *next;
};


static _Atomic(wsgi_owner_t *)  wsgi_released[2];     /* [1]: to be closed */


uint64_t
wsgi_owner_new(PyObject *object, int close)
{
    wsgi_owner_t  *owner;

    owner = PyMem_RawMalloc(sizeof(wsgi_owner_t));

    if (owner == NULL) {
        return 0;
    }

    owner->object = Py_NewRef(object);
    owner->close = close;

    return (uint64_t) (uintptr_t) owner;
}


void
wsgi_owner_release(uint64_t token)
{
    wsgi_owner_t            *owner, *next;
    _Atomic(wsgi_owner_t *) *stack;

    owner = (wsgi_owner_t *) (uintptr_t) token;
    stack = &wsgi_released[owner->close];

    next = atomic_load(stack);

    do {
        owner->next = next;
    } while (!atomic_compare_exchange_weak(stack, &next, owner));

    /* from here on "owner" may be gone */

    if (next == NULL) {
        wsgi_queue_wake_any();
    }
}


int
wsgi_owner_waiting(void)
{
    return atomic_load_explicit(&wsgi_released[0], memory_order_relaxed)
           || atomic_load_explicit(&wsgi_released[1], memory_order_relaxed);
}


void
wsgi_owner_drop(int close)
{
    int                      rc;
    wsgi_owner_t            *owner, *next;
    _Atomic(wsgi_owner_t *) *stack;

    stack = &wsgi_released[close];

    if (atomic_load_explicit(stack, memory_order_relaxed) == NULL) {
        return;
    }

    for (owner = atomic_exchange(stack, NULL); owner; owner = next) {
        next = owner->next;

        rc = close ? wsgi_call_close(owner->object) : 0;

        if (wsgi_forked) {
            wsgi_fork_end();
        }

        if (rc != 0) {
            wsgi_call_failed(NULL, "close");
        }

        Py_DECREF(owner->object);
        PyMem_RawFree(owner);
    }

    if (close) {

        /* what was printed is of no request, and not of the next one */

        wsgi_errors_flush();
    }
}


void
wsgi_owner_drop_all(void)
{
    wsgi_owner_drop(0);
    wsgi_owner_drop(1);
}
