/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * stub.h: what the two files of the stub runtime share.
 */

#ifndef STUB_H
#define STUB_H

#include "nwsgi.h"


#define STUB_CHUNK  8192


/* stub_runtime.c: set by nwsgi_runtime(). */
extern const nwsgi_host_t  *stub_host;

/* any.  A line for the log, with the context of the request if there is one. */
void stub_say(nwsgi_job_t *job, uint32_t level, const char *text);

/* python.  Milliseconds. */
void stub_sleep(uint64_t ms);


/* stub_apps.c, python.  Runs the "application" of a job, and ends the job. */
void stub_run(nwsgi_job_t *job);

/* loop.  nwsgi_runtime_t.release. */
void stub_release(uint64_t owner);

/* any.  How many owners are lent to the host. */
int stub_lent(void);


#endif /* STUB_H */
