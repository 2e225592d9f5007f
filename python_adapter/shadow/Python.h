/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A Python.h in front of the real one, so that cpy3, which was written for
 * CPython 3.7, builds unmodified on 3.9 to 3.14.  What CPython has dropped
 * since is replaced by something that does nothing or says "failed"; none of
 * it is called by this project.
 *
 * It has to be found first: "configure" puts its folder into CGO_CPPFLAGS.
 */

#ifndef NWSGI_SHADOW_PYTHON_H
#define NWSGI_SHADOW_PYTHON_H

#include_next <Python.h>


#if PY_VERSION_HEX < 0x03090000
#error "ngx_wsgi needs CPython 3.9 or newer"
#endif


/*
 * Dropped in 3.8 and 3.9.  PySignal_SetWakeupFd() is still declared, but no
 * library exports it any more: hence the macro.
 */

#define PySignal_SetWakeupFd(fd)  PySignal_SetWakeupFd_missing(fd)


static inline int
PySignal_SetWakeupFd_missing(int fd)
{
    (void) fd;

    return -1;
}


static inline void
PyEval_ReInitThreads(void)
{
}


static inline int
PyDict_ClearFreeList(void)
{
    return 0;
}


static inline int
PyFloat_ClearFreeList(void)
{
    return 0;
}


static inline int
PyList_ClearFreeList(void)
{
    return 0;
}


#if PY_VERSION_HEX >= 0x030d0000

/* Dropped in 3.13. */


static inline int
PyEval_ThreadsInitialized(void)
{
    return 1;
}


static inline void
Py_SetPath(const wchar_t *path)
{
    (void) path;
}


static inline int
Py_SetStandardStreamEncoding(const char *encoding, const char *errors)
{
    (void) encoding;
    (void) errors;

    return -1;
}


static inline void
PySys_AddWarnOption(const wchar_t *option)
{
    (void) option;
}


static inline void
PySys_AddXOption(const wchar_t *option)
{
    (void) option;
}


static inline void
PySys_SetPath(const wchar_t *path)
{
    (void) path;
}

#endif


#endif /* NWSGI_SHADOW_PYTHON_H */
