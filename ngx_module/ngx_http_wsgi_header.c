
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The head of a response.  nginx's filters do not read header lines, they read
 * fields of r->headers_out: a table says which, as for upstream servers.
 */


#include "ngx_http_wsgi_module.h"


typedef ngx_int_t (*ngx_http_wsgi_header_pt)(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);


typedef struct {
    ngx_str_t                name;
    ngx_http_wsgi_header_pt  handler;
    ngx_uint_t               offset;
} ngx_http_wsgi_header_t;


static ngx_int_t ngx_http_wsgi_set_status(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_copy_fields(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_set_header(ngx_http_request_t *r,
    ngx_keyval_t *field);
static ngx_table_elt_t *ngx_http_wsgi_push_header(ngx_http_request_t *r,
    ngx_keyval_t *field);
static ngx_int_t ngx_http_wsgi_set_single(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_multi(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_content_type(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_last_modified(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_location(ngx_http_request_t *r,
    ngx_keyval_t *field, ngx_uint_t offset);


static ngx_http_wsgi_header_t  ngx_http_wsgi_headers[] = {

    { ngx_string("Content-Type"),
      ngx_http_wsgi_set_content_type, 0 },

    { ngx_string("Content-Encoding"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, content_encoding) },

    { ngx_string("Content-Range"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, content_range) },

    { ngx_string("Date"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, date) },

    { ngx_string("Server"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, server) },

    { ngx_string("Location"),
      ngx_http_wsgi_set_location,
      offsetof(ngx_http_headers_out_t, location) },

    { ngx_string("Refresh"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, refresh) },

    { ngx_string("Last-Modified"),
      ngx_http_wsgi_set_last_modified,
      offsetof(ngx_http_headers_out_t, last_modified) },

    { ngx_string("ETag"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, etag) },

    { ngx_string("Expires"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, expires) },

    { ngx_string("Accept-Ranges"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, accept_ranges) },

    { ngx_string("WWW-Authenticate"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, www_authenticate) },

    { ngx_string("Cache-Control"),
      ngx_http_wsgi_set_multi,
      offsetof(ngx_http_headers_out_t, cache_control) },

    { ngx_string("Link"),
      ngx_http_wsgi_set_multi,
      offsetof(ngx_http_headers_out_t, link) },

    { ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_http_wsgi_set_head(ngx_http_request_t *r, ngx_http_wsgi_message_t *m)
{
    ngx_uint_t  i;

    if (ngx_http_wsgi_set_status(r, m) != NGX_OK
        || ngx_http_wsgi_copy_fields(r, m) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < m->nfields; i++) {
        if (ngx_http_wsgi_set_header(r, &m->fields[i]) != NGX_OK) {
            return NGX_ERROR;
        }
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


/*
 * Header fields have to live as long as the request, for access logs and
 * variables; the message does not.
 */

static ngx_int_t
ngx_http_wsgi_copy_fields(ngx_http_request_t *r, ngx_http_wsgi_message_t *m)
{
    size_t         size;
    u_char        *p, *start, *last;
    ngx_uint_t     i;
    ngx_keyval_t  *field;

    if (m->nfields == 0) {
        return NGX_OK;
    }

    /* they are one piece of memory, in order */

    field = &m->fields[m->nfields - 1];
    start = m->fields[0].key.data;
    last = field->value.data + field->value.len;
    size = last - start;

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, start, size);

    for (i = 0; i < m->nfields; i++) {
        field = &m->fields[i];

        field->key.data = p + (field->key.data - start);
        field->value.data = p + (field->value.data - start);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_header(ngx_http_request_t *r, ngx_keyval_t *field)
{
    ngx_http_wsgi_header_t  *h;

    for (h = ngx_http_wsgi_headers; h->name.len; h++) {

        if (h->name.len == field->key.len
            && ngx_strncasecmp(h->name.data, field->key.data, h->name.len)
               == 0)
        {
            return h->handler(r, field, h->offset);
        }
    }

    return ngx_http_wsgi_push_header(r, field) ? NGX_OK : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_http_wsgi_push_header(ngx_http_request_t *r, ngx_keyval_t *field)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key = field->key;
    h->value = field->value;
    h->lowcase_key = NULL;
    ngx_http_wsgi_header_unlink(h);

    return h;
}


static ngx_int_t
ngx_http_wsgi_set_single(ngx_http_request_t *r, ngx_keyval_t *field,
    ngx_uint_t offset)
{
    ngx_table_elt_t  *h, **ph;

    h = ngx_http_wsgi_push_header(r, field);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ph = (ngx_table_elt_t **) ((char *) &r->headers_out + offset);
    *ph = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_multi(ngx_http_request_t *r, ngx_keyval_t *field,
    ngx_uint_t offset)
{
    ngx_table_elt_t  *h, **ph;
#if !(NGX_HTTP_WSGI_LINKED_HEADERS)
    ngx_array_t      *pa;
#endif

    h = ngx_http_wsgi_push_header(r, field);
    if (h == NULL) {
        return NGX_ERROR;
    }

#if (NGX_HTTP_WSGI_LINKED_HEADERS)

    ph = (ngx_table_elt_t **) ((char *) &r->headers_out + offset);

    while (*ph) {
        ph = &(*ph)->next;
    }

#else

    pa = (ngx_array_t *) ((char *) &r->headers_out + offset);

    if (pa->elts == NULL
        && ngx_array_init(pa, r->pool, 2, sizeof(ngx_table_elt_t *)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(pa);
    if (ph == NULL) {
        return NGX_ERROR;
    }

#endif

    *ph = h;

    return NGX_OK;
}


/* The charset is nginx's to see, and to write again, behind the type. */

static ngx_int_t
ngx_http_wsgi_set_content_type(ngx_http_request_t *r, ngx_keyval_t *field,
    ngx_uint_t offset)
{
    u_char     *p, *last, *start;
    ngx_str_t  *value;

    value = &field->value;

    r->headers_out.content_type = *value;
    r->headers_out.content_type_len = value->len;
    r->headers_out.content_type_lowcase = NULL;

    last = value->data + value->len;

    for (p = value->data; p < last; p++) {

        if (*p != ';') {
            continue;
        }

        start = p;

        while (p + 1 < last && p[1] == ' ') {
            p++;
        }

        if (last - p <= (ssize_t) (sizeof(";charset=") - 1)
            || ngx_strncasecmp(p + 1, (u_char *) "charset=", 8) != 0)
        {
            continue;
        }

        p += sizeof(";charset=") - 1;

        if (*p == '"' && last[-1] == '"' && last - p > 1) {
            p++;
            last--;
        }

        r->headers_out.content_type_len = start - value->data;
        r->headers_out.charset.data = p;
        r->headers_out.charset.len = last - p;

        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_last_modified(ngx_http_request_t *r, ngx_keyval_t *field,
    ngx_uint_t offset)
{
    r->headers_out.last_modified_time = ngx_parse_http_time(field->value.data,
                                                            field->value.len);

    return ngx_http_wsgi_set_single(r, field, offset);
}


/*
 * A path is passed on as it is: if nginx saw it as its own, it would make an
 * absolute URI of it.
 */

static ngx_int_t
ngx_http_wsgi_set_location(ngx_http_request_t *r, ngx_keyval_t *field,
    ngx_uint_t offset)
{
    if (field->value.len && field->value.data[0] == '/') {
        return ngx_http_wsgi_push_header(r, field) ? NGX_OK : NGX_ERROR;
    }

    return ngx_http_wsgi_set_single(r, field, offset);
}
