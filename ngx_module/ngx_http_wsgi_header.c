
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Header fields of applications.  nginx's filters do not read header lines,
 * they read fields of r->headers_out: a table says which, as for upstream
 * servers.
 */


#include "ngx_http_wsgi_header.h"


static ngx_table_elt_t *ngx_http_wsgi_push_header(ngx_http_request_t *r,
    ngx_table_elt_t *field);
static ngx_int_t ngx_http_wsgi_set_single(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_multi(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_challenge(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_content_type(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_last_modified(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_location(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_accept_ranges(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_limit_rate(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_buffering(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);
static ngx_int_t ngx_http_wsgi_set_charset(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);


ngx_http_wsgi_header_t  ngx_http_wsgi_headers[] = {

    { ngx_string("content-type"),
      ngx_http_wsgi_set_content_type,
      0,
      NGX_HTTP_WSGI_FIELD_SINGLE|NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("content-encoding"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, content_encoding),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("content-range"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, content_range),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("content-disposition"),
      ngx_http_wsgi_set_line,
      0,
      NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("set-cookie"),
      ngx_http_wsgi_set_line,
      0,
      NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("date"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, date),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("server"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, server),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("location"),
      ngx_http_wsgi_set_location,
      offsetof(ngx_http_headers_out_t, location),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("refresh"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, refresh),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("last-modified"),
      ngx_http_wsgi_set_last_modified,
      offsetof(ngx_http_headers_out_t, last_modified),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("etag"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, etag),
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("expires"),
      ngx_http_wsgi_set_single,
      offsetof(ngx_http_headers_out_t, expires),
      NGX_HTTP_WSGI_FIELD_SINGLE|NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("accept-ranges"),
      ngx_http_wsgi_set_accept_ranges,
      offsetof(ngx_http_headers_out_t, accept_ranges),
      NGX_HTTP_WSGI_FIELD_SINGLE|NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("www-authenticate"),
      ngx_http_wsgi_set_challenge,
      offsetof(ngx_http_headers_out_t, www_authenticate),
      NGX_HTTP_WSGI_FIELD_CHALLENGE },

    { ngx_string("cache-control"),
      ngx_http_wsgi_set_multi,
      offsetof(ngx_http_headers_out_t, cache_control),
      NGX_HTTP_WSGI_FIELD_REDIRECT },

    { ngx_string("link"),
      ngx_http_wsgi_set_multi,
      offsetof(ngx_http_headers_out_t, link),
      0 },

    { ngx_string("x-accel-expires"),
      ngx_http_wsgi_set_line,
      0,
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("x-accel-redirect"),
      ngx_http_wsgi_set_line,
      0,
      NGX_HTTP_WSGI_FIELD_SINGLE },

    { ngx_string("x-accel-limit-rate"),
      ngx_http_wsgi_set_limit_rate,
      NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE,
      NGX_HTTP_WSGI_FIELD_SINGLE|NGX_HTTP_WSGI_FIELD_ACCEL },

    { ngx_string("x-accel-buffering"),
      ngx_http_wsgi_set_buffering,
      NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING,
      NGX_HTTP_WSGI_FIELD_ACCEL },

    { ngx_string("x-accel-charset"),
      ngx_http_wsgi_set_charset,
      NGX_HTTP_UPSTREAM_IGN_XA_CHARSET,
      NGX_HTTP_WSGI_FIELD_ACCEL },

    { ngx_null_string, NULL, 0, 0 }
};


ngx_int_t
ngx_http_wsgi_set_line(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    return ngx_http_wsgi_push_header(r, field) ? NGX_OK : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_http_wsgi_push_header(ngx_http_request_t *r, ngx_table_elt_t *field)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    *h = *field;

    return h;
}


static ngx_int_t
ngx_http_wsgi_set_single(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    ngx_table_elt_t  *h, **ph;

    h = ngx_http_wsgi_push_header(r, field);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ph = (ngx_table_elt_t **) ((char *) &r->headers_out + offset);

    /* of the response that had X-Accel-Redirect, and brought us here */

    if (*ph) {
        (*ph)->hash = 0;
    }

    *ph = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_multi(ngx_http_request_t *r, ngx_table_elt_t *field,
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


/* Challenges are many, but before 1.23 nginx knows of one. */

static ngx_int_t
ngx_http_wsgi_set_challenge(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
#if (NGX_HTTP_WSGI_LINKED_HEADERS)

    return ngx_http_wsgi_set_multi(r, field, offset);

#else

    if (r->headers_out.www_authenticate) {
        return ngx_http_wsgi_set_line(r, field, 0);
    }

    return ngx_http_wsgi_set_single(r, field, offset);

#endif
}


/* The charset is nginx's to see, and to write again, behind the type. */

static ngx_int_t
ngx_http_wsgi_set_content_type(ngx_http_request_t *r, ngx_table_elt_t *field,
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

        while (*++p == ' ') { /* void */ }

        if (ngx_strncasecmp(p, (u_char *) "charset=", 8) != 0) {
            continue;
        }

        p += sizeof("charset=") - 1;

        if (*p == '"') {
            p++;
        }

        if (last > p && last[-1] == '"') {
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
ngx_http_wsgi_set_last_modified(ngx_http_request_t *r, ngx_table_elt_t *field,
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
ngx_http_wsgi_set_location(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    if (field->value.len && field->value.data[0] == '/') {
        return ngx_http_wsgi_set_line(r, field, 0);
    }

    return ngx_http_wsgi_set_single(r, field, offset);
}


/* With wsgi_force_ranges it is nginx that has ranges, and says so. */

static ngx_int_t
ngx_http_wsgi_set_accept_ranges(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (wlcf->force_ranges) {
        return NGX_OK;
    }

    return ngx_http_wsgi_set_single(r, field, offset);
}


static ngx_int_t
ngx_http_wsgi_set_limit_rate(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    ngx_int_t  n;

    n = ngx_atoi(field->value.data, field->value.len);

    if (n != NGX_ERROR) {
        r->limit_rate = n;
        r->limit_rate_set = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_buffering(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    ngx_str_t            *value;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    value = &field->value;

    if (value->len == 2
        && ngx_strncasecmp(value->data, (u_char *) "no", 2) == 0)
    {
        ctx->buffering = 0;

    } else if (value->len == 3
               && ngx_strncasecmp(value->data, (u_char *) "yes", 3) == 0)
    {
        ctx->buffering = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_set_charset(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset)
{
    ngx_str_t  *charset;

    charset = ngx_palloc(r->pool, sizeof(ngx_str_t));
    if (charset == NULL) {
        return NGX_ERROR;
    }

    *charset = field->value;
    r->headers_out.override_charset = charset;

    return NGX_OK;
}
