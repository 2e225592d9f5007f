
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The head of a response: its status, and which of its fields go where.
 */


#include "ngx_http_wsgi_header.h"


/*
 * Nothing that is meant for a client has a head of this size: no client reads
 * it, and HTTP/2 has no room for much more.
 */

#define NGX_HTTP_WSGI_MAX_HEAD  (1024 * 1024)


static u_char *ngx_http_wsgi_copy_field(ngx_table_elt_t *to, u_char *p,
    ngx_keyval_t *field);
static ngx_int_t ngx_http_wsgi_set_status(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_set_field(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_http_wsgi_header_t *h, ngx_uint_t which);
static ngx_http_wsgi_header_t *ngx_http_wsgi_find_header(
    ngx_table_elt_t *field);


/*
 * Header fields have to live as long as the request, for access logs and
 * variables; the message does not.  And nginx's filters expect what its own
 * parsers make: the name in lower case, too, no space around a value, and a NUL
 * behind name and value, up to which some of them read.
 */

ngx_int_t
ngx_http_wsgi_copy_fields(ngx_http_request_t *r, ngx_http_wsgi_message_t *m,
    ngx_table_elt_t **fields)
{
    size_t       names, values;
    u_char      *p;
    ngx_uint_t   i;

    names = 0;
    values = 0;

    for (i = 0; i < m->nfields; i++) {
        names += m->fields[i].key.len;
        values += m->fields[i].value.len;
    }

    if (names + values > NGX_HTTP_WSGI_MAX_HEAD) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: the application sent %uD header fields of %uz "
                      "bytes, more than %d", m->nfields, names + values,
                      NGX_HTTP_WSGI_MAX_HEAD);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *fields = ngx_palloc(r->pool, (m->nfields + 1) * sizeof(ngx_table_elt_t));
    p = ngx_pnalloc(r->pool, 2 * names + values + 2 * m->nfields);

    if (*fields == NULL || p == NULL) {
        *fields = NULL;
        return NGX_ERROR;
    }

    for (i = 0; i < m->nfields; i++) {
        p = ngx_http_wsgi_copy_field(&(*fields)[i], p, &m->fields[i]);
    }

    return NGX_OK;
}


static u_char *
ngx_http_wsgi_copy_field(ngx_table_elt_t *to, u_char *p, ngx_keyval_t *field)
{
    ngx_str_t  value;

    value = field->value;

    while (value.len && value.data[0] == ' ') {
        value.data++;
        value.len--;
    }

    while (value.len && value.data[value.len - 1] == ' ') {
        value.len--;
    }

    to->key.data = p;
    to->key.len = field->key.len;

    p = ngx_cpymem(p, field->key.data, field->key.len);
    *p++ = '\0';

    to->value.data = p;
    to->value.len = value.len;

    p = ngx_cpymem(p, value.data, value.len);
    *p++ = '\0';

    to->lowcase_key = p;
    to->hash = ngx_hash_strlow(p, field->key.data, field->key.len);
    ngx_http_wsgi_header_unlink(to);

    return p + field->key.len;
}


ngx_int_t
ngx_http_wsgi_set_head(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_wsgi_set_status(r, m) != NGX_OK
        || ngx_http_wsgi_set_fields(ctx, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.content_length_n = m->content_length;

    /* If-None-Match and its like choose among representations */

    r->disable_not_modified = !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD));

    /* with a status line of ours nginx does not look at the code */

    if (m->status == NGX_HTTP_NO_CONTENT || m->status == NGX_HTTP_NOT_MODIFIED)
    {
        r->header_only = 1;
    }

    if (m->status == NGX_HTTP_NO_CONTENT) {
        r->headers_out.content_length_n = -1;
    }

    return NGX_OK;
}


/* "404 Whatever": nginx's own line if the application gave no reason. */

static ngx_int_t
ngx_http_wsgi_set_status(ngx_http_request_t *r, ngx_http_wsgi_message_t *m)
{
    ngx_str_t  *line;

    r->headers_out.status = m->status;

    line = &r->headers_out.status_line;

    if (m->reason.len == 0) {
        ngx_str_null(line);
        return NGX_OK;
    }

    line->len = sizeof("404 ") - 1 + m->reason.len;
    line->data = ngx_pnalloc(r->pool, line->len);
    if (line->data == NULL) {
        return NGX_ERROR;
    }

    line->data[0] = (u_char) ('0' + m->status / 100);
    line->data[1] = (u_char) ('0' + m->status / 10 % 10);
    line->data[2] = (u_char) ('0' + m->status % 10);
    line->data[3] = ' ';

    ngx_memcpy(line->data + 4, m->reason.data, m->reason.len);

    return NGX_OK;
}


ngx_int_t
ngx_http_wsgi_set_fields(ngx_http_wsgi_ctx_t *ctx, ngx_uint_t which)
{
    uint32_t                 seen, bit;
    ngx_uint_t               i;
    ngx_table_elt_t         *field;
    ngx_http_request_t      *r;
    ngx_http_wsgi_header_t  *h;

    r = ctx->request;
    seen = 0;

    for (i = 0; i < ctx->nfields; i++) {
        field = &ctx->fields[i];

        h = ngx_http_wsgi_find_header(field);

        if (which
            && (h == NULL
                || !(h->flags & (which|NGX_HTTP_WSGI_FIELD_ACCEL))))
        {
            continue;
        }

        if (h && (h->flags & NGX_HTTP_WSGI_FIELD_SINGLE)) {
            bit = (uint32_t) 1 << (h - ngx_http_wsgi_headers);

            if (seen & bit) {
                ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                              "wsgi: the application sent a second \"%V\", "
                              "it is dropped", &field->key);
                continue;
            }

            seen |= bit;
        }

        if (ngx_http_wsgi_set_field(r, field, h, which) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * What is hidden from the client can tell nginx something all the same, and so
 * can what is not passed on, because another response is sent ("which").
 */

static ngx_int_t
ngx_http_wsgi_set_field(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_http_wsgi_header_t *h, ngx_uint_t which)
{
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (h && (h->flags & NGX_HTTP_WSGI_FIELD_ACCEL)) {

        if (!(wlcf->ignore_headers & h->offset)
            && h->handler(r, field, h->offset) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (which) {
            return NGX_OK;
        }

        h = NULL;
    }

    if (ngx_http_wsgi_is_hidden(wlcf, &field->key)) {
        return NGX_OK;
    }

    if (h) {
        return h->handler(r, field, h->offset);
    }

    return ngx_http_wsgi_set_line(r, field, 0);
}


static ngx_http_wsgi_header_t *
ngx_http_wsgi_find_header(ngx_table_elt_t *field)
{
    ngx_http_wsgi_header_t  *h;

    for (h = ngx_http_wsgi_headers; h->name.len; h++) {

        if (h->name.len == field->key.len
            && ngx_memcmp(h->name.data, field->lowcase_key, h->name.len) == 0)
        {
            return h;
        }
    }

    return NULL;
}
