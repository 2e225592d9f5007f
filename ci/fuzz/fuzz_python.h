/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_python.h: what the targets of the adapter share: a Python, and a request
 * on the only thread that there is.
 */

#ifndef FUZZ_PYTHON_H
#define FUZZ_PYTHON_H

#include "wsgi_python.h"

#include "fuzz.h"


extern wsgi_thread_t   fuzz_thread;
extern wsgi_request_t  fuzz_request;
extern nwsgi_host_t    fuzz_host;       /* read() is the target's to set */

/* Starts Python and the adapter's modules; fuzz_init() of a target. */
void fuzz_python(void);

/* The exception that is set is a wrong outcome. */
void fuzz_raised(const char *what) __attribute__((noreturn));

/* "fuzz_request" is one with this block from now on. */
void fuzz_bind(const nwsgi_block_t *block);

/* A new block with "nvars" entries and "size" bytes of text behind them. */
nwsgi_block_t *fuzz_block(uint32_t nvars, size_t size);


#endif /* FUZZ_PYTHON_H */
