/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 */

#include <unistd.h>

#include "host.h"
#include "_cgo_export.h"


static int  hosttest_child;


static uint64_t
hosttest_id(nwsgi_job_t *job)
{
    return job ? ((hosttest_job_t *) job)->id : 0;
}


static void
hosttest_log(nwsgi_job_t *job, uint32_t level, const char *text, size_t len)
{
    if (hosttest_child) {
        (void) !write(2, text, len);
        (void) !write(2, "\n", 1);
        return;
    }

    goHostLog(hosttest_id(job), level, (char *) (uintptr_t) text, len);
}


static void
hosttest_drain(const char *reason, size_t len, uint32_t flags)
{
    goHostDrain((char *) (uintptr_t) reason, len, flags);
}


static void
hosttest_record(uint64_t serial, uint32_t level, const char *text, size_t len)
{
    goHostLog(serial, level, (char *) (uintptr_t) text, len);
}


static int32_t
hosttest_begin(nwsgi_job_t *job)
{
    return goHostBegin(hosttest_id(job));
}


static int32_t
hosttest_send(nwsgi_job_t *job, const nwsgi_message_t *msg)
{
    return goHostSend(hosttest_id(job), (nwsgi_message_t *) (uintptr_t) msg);
}


static int32_t
hosttest_wait(nwsgi_job_t *job)
{
    return goHostWait(hosttest_id(job));
}


static int64_t
hosttest_read(nwsgi_job_t *job, void *buf, uint64_t len)
{
    return goHostRead(hosttest_id(job), buf, len);
}


static int32_t
hosttest_early_hints(nwsgi_job_t *job, const nwsgi_field_t *fields,
    uint32_t nfields)
{
    return goHostHints(hosttest_id(job), (nwsgi_field_t *) (uintptr_t) fields,
                       nfields);
}


static int32_t
hosttest_gone(nwsgi_job_t *job)
{
    return goHostGone(hosttest_id(job));
}


static void
hosttest_end(nwsgi_job_t *job, int32_t result)
{
    goHostEnd(hosttest_id(job), result);
}


static void
hosttest_forked(void)
{
    hosttest_child = 1;
}


const nwsgi_host_t  hosttest_host = {
    .size = sizeof(nwsgi_host_t),
    .abi = NWSGI_ABI,
    .log = hosttest_log,
    .drain = hosttest_drain,
    .record = hosttest_record,
    .begin = hosttest_begin,
    .send = hosttest_send,
    .wait = hosttest_wait,
    .read = hosttest_read,
    .early_hints = hosttest_early_hints,
    .gone = hosttest_gone,
    .end = hosttest_end,
    .forked = hosttest_forked,
};
