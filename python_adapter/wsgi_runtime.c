/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The door of the library: the table that the nginx module calls.  What is not
 * per request goes to Go, at the price of one crossing.
 */

#include "wsgi_python.h"


#define WSGI_STRING(x)   #x
#define WSGI_DECIMAL(x)  WSGI_STRING(x)


const nwsgi_host_t  *wsgi_host;

/* "nginx -t" looks for this text in the file */
__attribute__((used))
static const char  wsgi_marker[] = NWSGI_MARKER WSGI_DECIMAL(NWSGI_ABI);


static int32_t
wsgi_runtime_start(const nwsgi_config_t *conf)
{
    /* cgo has no const */
    return nwsgi_go_start((nwsgi_config_t *) (uintptr_t) conf);
}


static int32_t
wsgi_runtime_check(const nwsgi_config_t *conf)
{
    return nwsgi_go_check((nwsgi_config_t *) (uintptr_t) conf);
}


static void
wsgi_runtime_interrupt(nwsgi_job_t *job, uint32_t reason)
{
    nwsgi_go_interrupt(job->block->serial, reason);
}


static int32_t
wsgi_runtime_stop(uint32_t wait, uint32_t limit)
{
    return nwsgi_go_stop(wait, limit);
}


static const nwsgi_runtime_t  wsgi_runtime = {
    .size = sizeof(nwsgi_runtime_t),
    .abi = NWSGI_ABI,
    .start = wsgi_runtime_start,
    .check = wsgi_runtime_check,
    .submit = wsgi_queue_submit,
    .kick = wsgi_queue_kick,
    .withdraw = wsgi_queue_withdraw,
    .interrupt = wsgi_runtime_interrupt,
    .release = wsgi_owner_release,
    .stop = wsgi_runtime_stop,
};


__attribute__((visibility("default")))
const nwsgi_runtime_t *
nwsgi_runtime(const nwsgi_host_t *host)
{
    if (host->abi != NWSGI_ABI || host->size != sizeof(nwsgi_host_t)) {
        return NULL;
    }

    wsgi_host = host;

    return &wsgi_runtime;
}
