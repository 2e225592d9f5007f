
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Responses that are not sent as they are: X-Accel-Redirect has nginx answer
 * with something else, and wsgi_intercept_errors with an error_page; and fields
 * that clients do not get to see.  As ngx_http_upstream.c does it.
 */


#include "ngx_http_wsgi_header.h"


static ngx_int_t ngx_http_wsgi_intercept(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);
static ngx_str_t *ngx_http_wsgi_find_redirect(ngx_http_wsgi_ctx_t *ctx);
static ngx_int_t ngx_http_wsgi_redirect(ngx_http_wsgi_ctx_t *ctx,
    ngx_str_t *uri);
static ngx_int_t ngx_http_wsgi_hide(ngx_http_wsgi_loc_conf_t *conf,
    ngx_str_t *names, ngx_uint_t n);
static ngx_uint_t ngx_http_wsgi_has_name(ngx_array_t *names, ngx_str_t *name);


/* What is said to nginx is hidden from clients, unless wsgi_pass_header. */

static ngx_str_t  ngx_http_wsgi_accel_headers[] = {
    ngx_string("X-Accel-Expires"),
    ngx_string("X-Accel-Redirect"),
    ngx_string("X-Accel-Limit-Rate"),
    ngx_string("X-Accel-Buffering"),
    ngx_string("X-Accel-Charset")
};

#define NGX_HTTP_WSGI_ACCEL_HEADERS                                           \
    (sizeof(ngx_http_wsgi_accel_headers) / sizeof(ngx_str_t))


ngx_int_t
ngx_http_wsgi_divert(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t   rc;
    ngx_str_t  *uri;

    rc = ngx_http_wsgi_intercept(ctx, m);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    uri = ngx_http_wsgi_find_redirect(ctx);

    if (uri == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_wsgi_set_fields(ctx, NGX_HTTP_WSGI_FIELD_REDIRECT) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->status = m->status;

    return ngx_http_wsgi_redirect(ctx, uri);
}


static ngx_str_t *
ngx_http_wsgi_find_redirect(ngx_http_wsgi_ctx_t *ctx)
{
    ngx_uint_t                 i;
    ngx_table_elt_t           *field;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_wsgi_module);

    if (wlcf->ignore_headers & NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT) {
        return NULL;
    }

    for (i = 0; i < ctx->nfields; i++) {
        field = &ctx->fields[i];

        if (field->key.len == sizeof("x-accel-redirect") - 1
            && ngx_memcmp(field->lowcase_key, "x-accel-redirect",
                          field->key.len)
               == 0)
        {
            return &field->value;
        }
    }

    return NULL;
}


/* "uri" lives as long as the request. */

static ngx_int_t
ngx_http_wsgi_redirect(ngx_http_wsgi_ctx_t *ctx, ngx_str_t *uri)
{
    ngx_str_t            path, args;
    ngx_uint_t           flags;
    ngx_http_request_t  *r;

    r = ctx->request;
    path = *uri;

    if (path.len && path.data[0] == '@') {
        ngx_http_wsgi_leave(r, ctx);

        (void) ngx_http_named_location(r, &path);
        ngx_http_finalize_request(r, NGX_DONE);

        return NGX_DONE;
    }

    ngx_str_null(&args);
    flags = NGX_HTTP_LOG_UNSAFE;

    /* of a "%" with less than two digits behind it nothing may be left */

    if (ngx_http_parse_unsafe_uri(r, &path, &args, &flags) != NGX_OK
        || path.len == 0)
    {
        return NGX_HTTP_NOT_FOUND;
    }

    ngx_http_wsgi_leave(r, ctx);

    if (r->method != NGX_HTTP_HEAD) {
        r->method = NGX_HTTP_GET;
        ngx_str_set(&r->method_name, "GET");
    }

    (void) ngx_http_internal_redirect(r, &path, &args);
    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_wsgi_intercept(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_int_t                  rc;
    ngx_uint_t                 i, which;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_wsgi_module);
    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    /* with these two nginx does not answer, it closes the connection */

    if (!wlcf->intercept_errors
        || clcf->error_pages == NULL
        || m->status < NGX_HTTP_SPECIAL_RESPONSE
        || m->status == NGX_HTTP_REQUEST_TIME_OUT
        || m->status == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        return NGX_DECLINED;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {

        if (page[i].status != (ngx_int_t) m->status) {
            continue;
        }

        which = (m->status == NGX_HTTP_UNAUTHORIZED)
                ? NGX_HTTP_WSGI_FIELD_CHALLENGE : NGX_HTTP_WSGI_FIELD_ACCEL;

        rc = ngx_http_wsgi_set_fields(ctx, which);

        return (rc == NGX_OK) ? (ngx_int_t) m->status : rc;
    }

    return NGX_DECLINED;
}


char *
ngx_http_wsgi_merge_headers(ngx_conf_t *cf, ngx_http_wsgi_loc_conf_t *prev,
    ngx_http_wsgi_loc_conf_t *conf)
{
    ngx_array_t  *hide;

    if (conf->hide_headers == NGX_CONF_UNSET_PTR
        && conf->show_headers == NGX_CONF_UNSET_PTR
        && prev->hidden)
    {
        conf->hide_headers = prev->hide_headers;
        conf->show_headers = prev->show_headers;
        conf->hidden = prev->hidden;

        return NGX_CONF_OK;
    }

    ngx_conf_merge_ptr_value(conf->hide_headers, prev->hide_headers, NULL);
    ngx_conf_merge_ptr_value(conf->show_headers, prev->show_headers, NULL);

    conf->hidden = ngx_array_create(cf->pool, 8, sizeof(ngx_str_t));
    if (conf->hidden == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_wsgi_hide(conf, ngx_http_wsgi_accel_headers,
                           NGX_HTTP_WSGI_ACCEL_HEADERS)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    hide = conf->hide_headers;

    if (hide && ngx_http_wsgi_hide(conf, hide->elts, hide->nelts) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_wsgi_hide(ngx_http_wsgi_loc_conf_t *conf, ngx_str_t *names,
    ngx_uint_t n)
{
    ngx_str_t   *hidden;
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {

        if (ngx_http_wsgi_has_name(conf->show_headers, &names[i])) {
            continue;
        }

        hidden = ngx_array_push(conf->hidden);
        if (hidden == NULL) {
            return NGX_ERROR;
        }

        *hidden = names[i];
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_wsgi_is_hidden(ngx_http_wsgi_loc_conf_t *wlcf, ngx_str_t *name)
{
    return ngx_http_wsgi_has_name(wlcf->hidden, name);
}


static ngx_uint_t
ngx_http_wsgi_has_name(ngx_array_t *names, ngx_str_t *name)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    if (names == NULL) {
        return 0;
    }

    s = names->elts;

    for (i = 0; i < names->nelts; i++) {

        if (s[i].len == name->len
            && ngx_strncasecmp(s[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
