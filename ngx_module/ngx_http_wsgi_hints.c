
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * 103 (Early Hints), RFC 8297: what an application knows of its response before
 * it has one.  The directive "early_hints" says which clients get them.
 */


#include "ngx_http_wsgi_header.h"


#if (NGX_HTTP_WSGI_EARLY_HINTS)


/* for one request: hints are to be few, and the loop takes them all at once */

#define NGX_HTTP_WSGI_MAX_HINTS  65536


static ngx_int_t ngx_http_wsgi_set_hints(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m);
static void ngx_http_wsgi_hints_writer(ngx_http_request_t *r);


int32_t
ngx_http_wsgi_host_early_hints(nwsgi_job_t *nj, const nwsgi_field_t *fields,
    uint32_t nfields)
{
    uint32_t                  i;
    nwsgi_message_t           msg;
    ngx_http_wsgi_job_t      *job;
    ngx_http_wsgi_message_t  *m;

    static const char  text[] = "the application sends more than 64 KB of "
                                "early hints, they are dropped";

    job = (ngx_http_wsgi_job_t *) nj;

    if (ngx_http_wsgi_host.gone(nj)) {
        return NWSGI_GONE;
    }

    for (i = 0; i < nfields; i++) {
        job->hinted += fields[i].name_len + fields[i].value_len;
    }

    if (job->hinted > NGX_HTTP_WSGI_MAX_HINTS) {
        ngx_http_wsgi_host.log(nj, NWSGI_LOG_WARN, text, sizeof(text) - 1);
        return NWSGI_ERROR;
    }

    ngx_memzero(&msg, sizeof(nwsgi_message_t));

    msg.fields = fields;
    msg.nfields = nfields;
    msg.reason = "";
    msg.body = "";

    m = ngx_http_wsgi_copy_message(job, &msg);
    if (m == NULL) {
        return NWSGI_ERROR;
    }

    m->type = NGX_HTTP_WSGI_MESSAGE_HINTS;
    m->job = job;

    ngx_http_wsgi_push(m, 1);

    return NWSGI_OK;
}


/* The rest runs on the loop. */


void
ngx_http_wsgi_send_hints(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t            rc;
    ngx_list_t           headers;
    ngx_http_request_t  *r;

    r = ctx->request;
    rc = NGX_OK;

    if (!ctx->head_sent) {

        /* what is there already is for the response */

        headers = r->headers_out.headers;

        rc = ngx_http_wsgi_set_hints(r, m);

        if (rc == NGX_OK) {
            rc = ngx_http_wsgi_filtered(ctx, ngx_http_send_early_hints(r));
        }

        r->headers_out.headers = headers;
    }

    ngx_http_wsgi_free_message(m);

    if (rc == NGX_ERROR) {
        ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
        return;
    }

    if (r->connection->buffered && !ctx->head_sent) {
        r->write_event_handler = ngx_http_wsgi_hints_writer;

        if (ngx_handle_write_event(r->connection->write, 0) != NGX_OK) {
            ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
        }
    }
}


static ngx_int_t
ngx_http_wsgi_set_hints(ngx_http_request_t *r, ngx_http_wsgi_message_t *m)
{
    ngx_uint_t                 i;
    ngx_table_elt_t           *h, *fields;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (ngx_list_init(&r->headers_out.headers, r->pool, m->nfields + 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_http_wsgi_copy_fields(r, m, &fields) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < m->nfields; i++) {

        if (ngx_http_wsgi_is_hidden(wlcf, &fields[i].key)) {
            continue;
        }

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = fields[i];
    }

    return NGX_OK;
}


/* The client takes the rest of them. */

static void
ngx_http_wsgi_hints_writer(ngx_http_request_t *r)
{
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (ctx == NULL || ctx->job == NULL) {
        return;
    }

    if (ngx_http_write_filter(r, NULL) == NGX_ERROR
        || ngx_handle_write_event(r->connection->write, 0) != NGX_OK)
    {
        ngx_http_wsgi_finalize(r, ctx, NGX_ERROR);
        return;
    }

    if (!r->connection->buffered) {
        r->write_event_handler = ngx_http_request_empty_handler;
    }
}


#else


/* Without early_hints() in the host table there are no such messages. */

void
ngx_http_wsgi_send_hints(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_http_wsgi_free_message(m);
}


#endif
