
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Orphans: jobs that run on when their request has gone, because the client
 * did not wait, or has its whole response while close() still runs.  Nobody
 * waits for a 504, but such a job has a thread, and wsgi_timeout holds: else a
 * database that hangs, and clients that are less patient, would take all
 * threads of a pool for good.
 *
 * Most jobs are orphans for the moment between their last message and their
 * end, so there is no timer for each: one looks at all of them now and then.
 */


#include "ngx_http_wsgi_module.h"


#define NGX_HTTP_WSGI_ORPHAN_TICK  500


static void ngx_http_wsgi_orphan_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_wsgi_orphan_late(ngx_http_wsgi_job_t *job,
    uint64_t now);
static void ngx_http_wsgi_orphan_time_out(ngx_http_wsgi_job_t *job,
    uint64_t now);


static ngx_event_t  ngx_http_wsgi_orphan_timer;


void
ngx_http_wsgi_watch_orphan(ngx_http_wsgi_job_t *job)
{
    ngx_event_t  *ev;

    ev = &ngx_http_wsgi_orphan_timer;

    if (job->timeout == 0 || job->timed_out || ev->timer_set) {
        return;
    }

    ev->handler = ngx_http_wsgi_orphan_handler;
    ev->data = job;                     /* nginx's debug log looks there */
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_WSGI_ORPHAN_TICK);
}


static void
ngx_http_wsgi_orphan_handler(ngx_event_t *ev)
{
    uint64_t              now;
    ngx_queue_t          *q;
    ngx_http_wsgi_job_t  *job, *left;

    now = ngx_http_wsgi_now();
    left = NULL;

    for (q = ngx_queue_head(&ngx_http_wsgi_process.jobs);
         q != ngx_queue_sentinel(&ngx_http_wsgi_process.jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_wsgi_job_t, queue);

        if (job->ctx || job->ended || job->timed_out || job->timeout == 0) {
            continue;
        }

        if (ngx_http_wsgi_orphan_late(job, now)) {
            ngx_http_wsgi_orphan_time_out(job, now);

        } else {
            left = job;
        }
    }

    if (left) {
        ngx_http_wsgi_watch_orphan(left);
    }
}


static ngx_uint_t
ngx_http_wsgi_orphan_late(ngx_http_wsgi_job_t *job, uint64_t now)
{
    /* one that has not begun is about to end */

    return __atomic_load_n(&job->begun, __ATOMIC_ACQUIRE)
           && now >= __atomic_load_n(&job->progress, __ATOMIC_ACQUIRE)
                     + job->timeout;
}


static void
ngx_http_wsgi_orphan_time_out(ngx_http_wsgi_job_t *job, uint64_t now)
{
    ngx_log_t                    log;
    ngx_http_wsgi_app_t        **apps;
    ngx_http_wsgi_pool_t       **pools;
    ngx_http_wsgi_main_conf_t   *mcf;

    mcf = ngx_http_wsgi_process.conf;
    apps = mcf->apps.elts;
    pools = mcf->pools.elts;

    ngx_http_wsgi_set_job_log(job, &log);

    ngx_log_error(NGX_LOG_ERR, &log, NGX_ETIMEDOUT,
                  "wsgi: application \"%V\" in pool \"%V\" made no progress "
                  "within \"wsgi_timeout\", %uL ms after its call (orphan: its "
                  "request has ended before)",
                  &apps[job->job.block->app]->name,
                  &pools[job->job.pool]->name, now - job->begun);

    job->timed_out = 1;

    ngx_http_wsgi_process.runtime->interrupt(&job->job, NWSGI_TIMEOUT);
}
