/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * host.h: a host table whose functions are Go's, and the runtime table as
 * functions, because Go cannot call a pointer.
 */

#ifndef HOSTTEST_HOST_H
#define HOSTTEST_HOST_H

#include <stdint.h>

#include "nwsgi.h"


/* A job as this host allocates it: "id" finds the call it is of. */
typedef struct {
    nwsgi_job_t   job;
    uint64_t      id;
} hosttest_job_t;

extern const nwsgi_host_t  hosttest_host;


static inline int32_t
hosttest_submit(const nwsgi_runtime_t *rt, hosttest_job_t *job)
{
    int32_t  rc;

    rc = rt->submit(&job->job);
    rt->kick();

    return rc;
}


static inline int32_t
hosttest_withdraw(const nwsgi_runtime_t *rt, hosttest_job_t *job)
{
    return rt->withdraw(&job->job);
}


static inline void
hosttest_interrupt(const nwsgi_runtime_t *rt, hosttest_job_t *job,
    uint32_t reason)
{
    rt->interrupt(&job->job, reason);
}


static inline void
hosttest_release(const nwsgi_runtime_t *rt, uint64_t owner)
{
    rt->release(owner);
}


#endif /* HOSTTEST_HOST_H */
