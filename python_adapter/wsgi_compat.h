/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_compat.h: the differences between CPython 3.9 and 3.14, all of them.
 */

#ifndef WSGI_COMPAT_H
#define WSGI_COMPAT_H

#include <structmember.h>       /* T_PYSSIZET, READONLY; deprecated in 3.12 */


#if PY_VERSION_HEX < 0x03090000
#error "ngx_wsgi needs CPython 3.9 or newer"
#endif


#if PY_VERSION_HEX < 0x030a0000

static inline PyObject *
Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

#endif


#if PY_VERSION_HEX < 0x030c0000

/* The exception that is set, cleared, as a new reference; NULL: none. */

static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject  *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);

    if (type == NULL) {
        return NULL;
    }

    PyErr_NormalizeException(&type, &value, &traceback);

    if (traceback) {
        (void) PyException_SetTraceback(value, traceback);
    }

    Py_XDECREF(type);
    Py_XDECREF(traceback);

    return value;
}


/* Sets an exception; takes over the reference. */

static inline void
PyErr_SetRaisedException(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *) Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
}

#endif


/*
 * 1: this thread holds the GIL, or did when it was looked at.  Any thread,
 * without the GIL; "tstate" must not go meanwhile.
 */

static inline int
wsgi_compat_holds_gil(const PyThreadState *tstate)
{
#if PY_VERSION_HEX < 0x030c0000
    return tstate == _PyThreadState_UncheckedGet();
#else
    return tstate->_status.active;
#endif
}


#endif /* WSGI_COMPAT_H */
