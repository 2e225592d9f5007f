/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The children that applications fork, and that come back into the server.
 * Such a child has no connection to answer on, no event loop, and of all
 * threads, Go's among them, only the one that has forked.
 */

#include <unistd.h>

#include "wsgi_python.h"


int  wsgi_forked;


void
wsgi_fork_end(void)
{
    int        status;
    PyObject  *exception, *code;

    status = 0;

    if (PyErr_Occurred()) {
        status = 1;
        exception = PyErr_GetRaisedException();

        if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) {
            code = PyObject_GetAttrString(exception, "code");

            if (code && code == Py_None) {
                status = 0;

            } else if (code && PyLong_Check(code)) {
                status = (int) PyLong_AsLong(code);
            }

        } else {
            PyErr_SetRaisedException(exception);
            PyErr_Print();
        }
    }

    _exit(status);
}
