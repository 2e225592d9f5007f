
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The requests in flight, in shared memory: what is left of them when their
 * worker has died, and is then written to the log.
 *
 * An entry has two owners, as a job has.  The request's share ends when nginx
 * has sent all and frees the request, the job's when it is freed; what a
 * thread says of its job, that it has begun and has ended, are stores of its
 * own.  So an entry tells the stages of a request from each other:
 *
 *   in the queue    the application has not begun
 *   running         it has, and the client waits
 *   sending         it has ended, and nginx sends what it gave
 *   running on      the client has gone, or has its 504
 *
 * The loop keeps the list of free entries to itself, and how many owners each
 * of the others has: the last one freed is the first to be used, so that a
 * worker touches no more memory than it needs.
 */


#include "ngx_http_wsgi_zone.h"


static void ngx_http_wsgi_fill_flight(ngx_http_wsgi_flight_t *flight,
    ngx_http_wsgi_ctx_t *ctx);
static void ngx_http_wsgi_put_text(ngx_http_wsgi_flight_t *flight,
    ngx_uint_t i, u_char **p, const u_char *data, size_t len, size_t max);
static void ngx_http_wsgi_let_flight_go(ngx_http_wsgi_flight_t *flight);
static void ngx_http_wsgi_put_where(ngx_http_wsgi_flight_t *flight,
    const char *text, size_t len);
static void ngx_http_wsgi_report_flight(ngx_pid_t pid,
    ngx_http_wsgi_flight_t *flight);
static ngx_int_t ngx_http_wsgi_read_flight(ngx_http_wsgi_flight_t *flight,
    u_char *buf, ngx_str_t *texts);
static u_char *ngx_http_wsgi_flight_stage(ngx_http_wsgi_flight_t *flight,
    u_char *buf, u_char *last);
static u_char *ngx_http_wsgi_flight_context(ngx_log_t *log, u_char *buf,
    size_t len);


static ngx_http_wsgi_flight_t  **ngx_http_wsgi_free_flights;
static ngx_uint_t                ngx_http_wsgi_nfree_flights;
static u_char                   *ngx_http_wsgi_flight_owners;


void
ngx_http_wsgi_init_flights(ngx_cycle_t *cycle)
{
    ngx_uint_t               n;
    ngx_http_wsgi_flight_t  *flight;

    n = ngx_http_wsgi_zone->flights;

    ngx_http_wsgi_free_flights = ngx_palloc(cycle->pool, n * sizeof(void *));
    ngx_http_wsgi_flight_owners = ngx_palloc(cycle->pool, n);

    if (ngx_http_wsgi_free_flights == NULL
        || ngx_http_wsgi_flight_owners == NULL)
    {
        return;
    }

    while (n--) {
        flight = &ngx_http_wsgi_slot->flights[n];

        /* of who had this slot before: the rest of the page stays untouched */

        if (flight->serial) {
            flight->serial = 0;
        }

        ngx_http_wsgi_free_flights[ngx_http_wsgi_nfree_flights++] = flight;
    }
}


void
ngx_http_wsgi_take_off(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_http_wsgi_flight_t  *flight;

    if (ngx_http_wsgi_slot == NULL) {
        return;
    }

    if (ngx_http_wsgi_nfree_flights == 0) {
        ngx_http_wsgi_slot->unlisted++;
        ctx->unlisted = 1;
        return;
    }

    flight = ngx_http_wsgi_free_flights[--ngx_http_wsgi_nfree_flights];

    ngx_http_wsgi_flight_owners[flight - ngx_http_wsgi_slot->flights] = 2;

    ngx_http_wsgi_fill_flight(flight, ctx);

    ctx->flight = flight;
    ctx->job->flight = flight;
}


static void
ngx_http_wsgi_fill_flight(ngx_http_wsgi_flight_t *flight,
    ngx_http_wsgi_ctx_t *ctx)
{
    u_char                     *p, *uri, *args;
    size_t                      len;
    ngx_http_request_t         *r;
    const nwsgi_block_t        *block;
    ngx_http_variable_value_t  *id;
    ngx_http_wsgi_main_conf_t  *mcf;

    r = ctx->request;
    block = ctx->job->job.block;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_wsgi_module);

    id = &r->variables[mcf->request_id];

    flight->submitted = ctx->submitted;
    flight->begun = 0;
    flight->thread = 0;
    flight->connection = r->connection->number;
    flight->ended = 0;
    flight->answered = 0;
    flight->where_len = 0;

    p = flight->text;

    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_ID, &p,
                           id->data, id->len, 40);
    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_APP, &p,
                           ctx->app->name.data, ctx->app->name.len, 64);
    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_POOL, &p,
                           ctx->pool->name.data, ctx->pool->name.len, 32);
    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_CLIENT, &p,
                           nwsgi_data(block, block->client),
                           block->client.len, 48);
    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_METHOD, &p,
                           nwsgi_data(block, block->method),
                           block->method.len, 24);

    /* the query may hold what is not for others, and is often long */

    uri = (u_char *) nwsgi_data(block, block->uri);
    len = block->uri.len;

    args = ngx_strlchr(uri, uri + len, '?');

    if (args) {
        len = args - uri;
    }

    ngx_http_wsgi_put_text(flight, NGX_HTTP_WSGI_FLIGHT_URI, &p, uri, len,
                           flight->text + NGX_HTTP_WSGI_FLIGHT_TEXT - p);

    __atomic_store_n(&flight->serial, block->serial, __ATOMIC_RELEASE);
}


/* The beginning of it, if it is too long. */

static void
ngx_http_wsgi_put_text(ngx_http_wsgi_flight_t *flight, ngx_uint_t i,
    u_char **p, const u_char *data, size_t len, size_t max)
{
    len = ngx_min(len, max);

    flight->len[i] = len;

    *p = ngx_cpymem(*p, data, len);
}


void
ngx_http_wsgi_flight_answered(ngx_http_wsgi_ctx_t *ctx)
{
    if (ctx->unlisted) {
        ctx->unlisted = 0;
        ngx_http_wsgi_slot->unlisted--;
    }

    if (ctx->flight) {
        __atomic_store_n(&ctx->flight->answered, 1, __ATOMIC_RELEASE);

        ngx_http_wsgi_let_flight_go(ctx->flight);
        ctx->flight = NULL;
    }
}


void
ngx_http_wsgi_flight_over(ngx_http_wsgi_job_t *job)
{
    if (job->flight) {
        __atomic_store_n(&job->flight->ended, 1, __ATOMIC_RELEASE);

        ngx_http_wsgi_let_flight_go(job->flight);
        job->flight = NULL;
    }
}


static void
ngx_http_wsgi_let_flight_go(ngx_http_wsgi_flight_t *flight)
{
    if (--ngx_http_wsgi_flight_owners[flight - ngx_http_wsgi_slot->flights]) {
        return;
    }

    __atomic_store_n(&flight->serial, 0, __ATOMIC_RELEASE);

    ngx_http_wsgi_free_flights[ngx_http_wsgi_nfree_flights++] = flight;
}


void
ngx_http_wsgi_flight_begun(ngx_http_wsgi_job_t *job, uint64_t now)
{
    if (job->flight) {
        job->flight->thread = (uint64_t) (uintptr_t) pthread_self();

        __atomic_store_n(&job->flight->begun, now, __ATOMIC_RELEASE);
    }
}


void
ngx_http_wsgi_flight_ended(ngx_http_wsgi_job_t *job)
{
    if (job->flight) {
        __atomic_store_n(&job->flight->ended, 1, __ATOMIC_RELEASE);
    }
}


void
ngx_http_wsgi_host_where(uint64_t thread, const char *text, size_t len)
{
    ngx_uint_t               i;
    ngx_http_wsgi_flight_t  *flight;

    if (ngx_http_wsgi_slot == NULL || ngx_http_wsgi_slot->pid != getpid()) {
        return;
    }

    for (i = 0; i < ngx_http_wsgi_zone->flights; i++) {
        flight = &ngx_http_wsgi_slot->flights[i];

        if (__atomic_load_n(&flight->serial, __ATOMIC_ACQUIRE) == 0
            || __atomic_load_n(&flight->begun, __ATOMIC_ACQUIRE) == 0
            || __atomic_load_n(&flight->ended, __ATOMIC_ACQUIRE)
            || flight->thread != thread)
        {
            continue;
        }

        ngx_http_wsgi_put_where(flight, text, len);
        return;
    }
}


/*
 * The length goes first and comes last: if this worker is killed in between,
 * nothing was said.  Of a long text the middle is left out, which is part of
 * the file's name.
 */

static void
ngx_http_wsgi_put_where(ngx_http_wsgi_flight_t *flight, const char *text,
    size_t len)
{
    size_t   rest;
    u_char  *p;

    __atomic_store_n(&flight->where_len, 0, __ATOMIC_SEQ_CST);

    p = flight->where;

    if (len > NGX_HTTP_WSGI_FLIGHT_WHERE) {
        p = ngx_cpymem(p, text, 24);
        p = ngx_cpymem(p, "...", 3);

        rest = NGX_HTTP_WSGI_FLIGHT_WHERE - 27;

        text += len - rest;
        len = rest;
    }

    p = ngx_cpymem(p, text, len);

    __atomic_store_n(&flight->where_len, p - flight->where, __ATOMIC_SEQ_CST);
}


/*
 * The rest is about a worker that has died.  It may have written anything to
 * its slot before that, and another process may still do so: each entry is
 * copied once, and nothing that it says is trusted.
 */


void
ngx_http_wsgi_report_flights(ngx_http_wsgi_slot_t *slot, ngx_uint_t n)
{
    uint64_t                unlisted;
    ngx_pid_t               pid;
    ngx_uint_t              i;
    ngx_http_wsgi_flight_t  flight;

    pid = slot->pid;

    for (i = 0; i < n; i++) {

        if (slot->flights[i].serial == 0) {
            continue;
        }

        flight = slot->flights[i];

        if (!(flight.ended && flight.answered)) {
            ngx_http_wsgi_report_flight(pid, &flight);
        }
    }

    unlisted = slot->unlisted;

    if (unlisted) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "wsgi: worker process %P died with %uL more requests in "
                      "flight, for which \"wsgi_zone\" had no place",
                      pid, unlisted);
    }
}


static void
ngx_http_wsgi_report_flight(ngx_pid_t pid, ngx_http_wsgi_flight_t *flight)
{
    u_char     *p;
    u_char      buf[4 * NGX_HTTP_WSGI_FLIGHT_TEXT];
    u_char      stage[4 * NGX_HTTP_WSGI_FLIGHT_WHERE + 128];
    ngx_str_t   texts[NGX_HTTP_WSGI_FLIGHT_NTEXTS];
    ngx_log_t   log;

    if (ngx_http_wsgi_read_flight(flight, buf, texts) != NGX_OK) {
        return;
    }

    p = ngx_http_wsgi_flight_stage(flight, stage, stage + sizeof(stage));

    log = *ngx_cycle->log;
    log.connection = flight->connection;
    log.handler = ngx_http_wsgi_flight_context;
    log.data = texts;
    log.action = NULL;

    ngx_log_error(NGX_LOG_ERR, &log, 0,
                  "wsgi: worker process %P died with a request in flight, "
                  "id %V, application \"%V\", pool \"%V\": %*s",
                  pid, &texts[NGX_HTTP_WSGI_FLIGHT_ID],
                  &texts[NGX_HTTP_WSGI_FLIGHT_APP],
                  &texts[NGX_HTTP_WSGI_FLIGHT_POOL],
                  (size_t) (p - stage), stage);
}


/* The texts as they can be logged, in "buf": four times as much as there was */

static ngx_int_t
ngx_http_wsgi_read_flight(ngx_http_wsgi_flight_t *flight, u_char *buf,
    ngx_str_t *texts)
{
    size_t       left;
    u_char      *p, *end, *last;
    ngx_uint_t   i;

    p = flight->text;
    left = NGX_HTTP_WSGI_FLIGHT_TEXT;
    last = buf + 4 * NGX_HTTP_WSGI_FLIGHT_TEXT;

    for (i = 0; i < NGX_HTTP_WSGI_FLIGHT_NTEXTS; i++) {

        if (flight->len[i] > left) {
            return NGX_ERROR;
        }

        left -= flight->len[i];
        end = p + flight->len[i];

        texts[i].data = buf;
        buf = ngx_http_wsgi_escape(buf, last, &p, end);
        texts[i].len = buf - texts[i].data;
    }

    return NGX_OK;
}


static u_char *
ngx_http_wsgi_flight_stage(ngx_http_wsgi_flight_t *flight, u_char *buf,
    u_char *last)
{
    u_char    *p, *where;
    uint64_t   now;

    now = ngx_http_wsgi_now();

    if (flight->begun == 0) {
        return ngx_slprintf(buf, last,
                            flight->ended ? "being answered, came %uL ms ago"
                                          : "in the queue for %uL ms",
                            now - flight->submitted);
    }

    if (flight->ended) {
        return ngx_slprintf(buf, last, "its response was being sent, came "
                            "%uL ms ago", now - flight->submitted);
    }

    p = ngx_slprintf(buf, last, "ran for %uL ms in thread 0x%016xL%s",
                     now - flight->begun, flight->thread,
                     flight->answered ? ", though its client was done with it"
                                      : "");

    if (flight->where_len && flight->where_len <= NGX_HTTP_WSGI_FLIGHT_WHERE) {
        p = ngx_slprintf(p, last, ", ");

        where = flight->where;
        p = ngx_http_wsgi_escape(p, last, &where, where + flight->where_len);
    }

    return p;
}


static u_char *
ngx_http_wsgi_flight_context(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_str_t *texts = log->data;

    return ngx_snprintf(buf, len, ", client: %V, request: \"%V %V\"",
                        &texts[NGX_HTTP_WSGI_FLIGHT_CLIENT],
                        &texts[NGX_HTTP_WSGI_FLIGHT_METHOD],
                        &texts[NGX_HTTP_WSGI_FLIGHT_URI]);
}
