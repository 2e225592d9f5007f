
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * $wsgi_status, $wsgi_time, $wsgi_queue_time, $wsgi_app_time, $wsgi_pool and
 * $wsgi_app; $wsgi_http_NAME and $wsgi_cookie_NAME, which are to a response of
 * an application what $upstream_http_NAME is to that of a server.
 */


#include "ngx_http_wsgi_module.h"


#define NGX_HTTP_WSGI_TIME        0
#define NGX_HTTP_WSGI_QUEUE_TIME  1
#define NGX_HTTP_WSGI_APP_TIME    2


static ngx_http_wsgi_ctx_t *ngx_http_wsgi_find_ctx(ngx_http_request_t *r);
static ngx_int_t ngx_http_wsgi_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_wsgi_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_wsgi_pool_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_wsgi_app_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_wsgi_string_variable(ngx_http_variable_value_t *v,
    ngx_str_t *value);
static ngx_http_wsgi_ctx_t *ngx_http_wsgi_find_response(ngx_http_request_t *r);
static ngx_int_t ngx_http_wsgi_http_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_uint_t ngx_http_wsgi_is_named(ngx_table_elt_t *field,
    ngx_str_t *name);
static ngx_int_t ngx_http_wsgi_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_uint_t ngx_http_wsgi_is_set_cookie(ngx_table_elt_t *field,
    ngx_str_t *name, ngx_str_t *value);


static ngx_http_variable_t  ngx_http_wsgi_variables[] = {

    { ngx_string("wsgi_status"), NULL,
      ngx_http_wsgi_status_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_time"), NULL,
      ngx_http_wsgi_time_variable, NGX_HTTP_WSGI_TIME,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_queue_time"), NULL,
      ngx_http_wsgi_time_variable, NGX_HTTP_WSGI_QUEUE_TIME,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_app_time"), NULL,
      ngx_http_wsgi_time_variable, NGX_HTTP_WSGI_APP_TIME,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_pool"), NULL,
      ngx_http_wsgi_pool_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_app"), NULL,
      ngx_http_wsgi_app_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("wsgi_http_"), NULL,
      ngx_http_wsgi_http_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("wsgi_cookie_"), NULL,
      ngx_http_wsgi_cookie_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_wsgi_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_wsgi_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/*
 * An internal redirect, such as error_page makes, forgets the contexts of the
 * modules; the request's pool does not.
 */

static ngx_http_wsgi_ctx_t *
ngx_http_wsgi_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (ctx) {
        return ctx;
    }

    cln = r->pool->cleanup;

    while ((ctx = ngx_http_wsgi_next_ctx(&cln)) != NULL) {
        if (ctx->request == r) {
            break;
        }
    }

    return ctx;
}


static ngx_int_t
ngx_http_wsgi_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_ctx(r);

    if (ctx == NULL || ctx->status == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%03ui", ctx->status) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    uint64_t              begun, from, to;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_ctx(r);

    if (ctx == NULL || ctx->submitted == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    to = ctx->job ? ngx_http_wsgi_now() : ctx->finished;
    begun = ctx->job ? __atomic_load_n(&ctx->job->begun, __ATOMIC_ACQUIRE)
                     : ctx->begun;
    from = ctx->submitted;

    if (data == NGX_HTTP_WSGI_APP_TIME) {

        if (begun == 0) {
            v->not_found = 1;
            return NGX_OK;
        }

        from = begun;

    } else if (data == NGX_HTTP_WSGI_QUEUE_TIME && begun) {
        to = begun;
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%uL.%03uL", (to - from) / 1000, (to - from) % 1000)
             - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_pool_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_ctx(r);

    return ngx_http_wsgi_string_variable(v, ctx ? &ctx->pool->name : NULL);
}


static ngx_int_t
ngx_http_wsgi_app_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_ctx(r);

    return ngx_http_wsgi_string_variable(v, ctx ? &ctx->app->name : NULL);
}


static ngx_int_t
ngx_http_wsgi_string_variable(ngx_http_variable_value_t *v, ngx_str_t *value)
{
    if (value == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = value->data;
    v->len = value->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/*
 * The last response of the request: of its application, of an error page's, or
 * of wsgi_access, whichever came last.
 */

static ngx_http_wsgi_ctx_t *
ngx_http_wsgi_find_response(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_wsgi_ctx_t  *ctx;

    cln = r->pool->cleanup;

    while ((ctx = ngx_http_wsgi_next_ctx(&cln)) != NULL) {
        if (ctx->request == r && ctx->fields) {
            break;
        }
    }

    return ctx;
}


/* As $upstream_http_NAME since 1.23: fields of one name are joined. */

static ngx_int_t
ngx_http_wsgi_http_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    size_t                len;
    u_char               *p;
    ngx_str_t             name, value;
    ngx_uint_t            i;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_response(r);

    name = *(ngx_str_t *) data;
    name.data += sizeof("wsgi_http_") - 1;
    name.len -= sizeof("wsgi_http_") - 1;

    len = 0;

    for (i = 0; ctx && i < ctx->nfields; i++) {
        if (ngx_http_wsgi_is_named(&ctx->fields[i], &name)) {
            len += ctx->fields[i].value.len + sizeof(", ") - 1;
        }
    }

    if (len == 0) {
        return ngx_http_wsgi_string_variable(v, NULL);
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = len - (sizeof(", ") - 1);

    for (i = 0; i < ctx->nfields; i++) {
        if (ngx_http_wsgi_is_named(&ctx->fields[i], &name)) {
            p = ngx_cpymem(p, ctx->fields[i].value.data,
                           ctx->fields[i].value.len);
            *p++ = ',';
            *p++ = ' ';
        }
    }

    return ngx_http_wsgi_string_variable(v, &value);
}


/* The name of a variable has "_" for each "-". */

static ngx_uint_t
ngx_http_wsgi_is_named(ngx_table_elt_t *field, ngx_str_t *name)
{
    u_char  ch;
    size_t  i;

    if (field->key.len != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = field->lowcase_key[i];

        if (name->data[i] != (ch == '-' ? '_' : ch)) {
            return 0;
        }
    }

    return 1;
}


/* As $upstream_cookie_NAME: the first one of the name, without attributes. */

static ngx_int_t
ngx_http_wsgi_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             name, value;
    ngx_uint_t            i;
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_wsgi_find_response(r);

    name = *(ngx_str_t *) data;
    name.data += sizeof("wsgi_cookie_") - 1;
    name.len -= sizeof("wsgi_cookie_") - 1;

    for (i = 0; ctx && i < ctx->nfields; i++) {
        if (ngx_http_wsgi_is_set_cookie(&ctx->fields[i], &name, &value)) {
            return ngx_http_wsgi_string_variable(v, &value);
        }
    }

    return ngx_http_wsgi_string_variable(v, NULL);
}


static ngx_uint_t
ngx_http_wsgi_is_set_cookie(ngx_table_elt_t *field, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *last, *end;

    if (field->key.len != sizeof("set-cookie") - 1
        || ngx_memcmp(field->lowcase_key, "set-cookie",
                      sizeof("set-cookie") - 1)
           != 0
        || field->value.len <= name->len
        || ngx_strncasecmp(field->value.data, name->data, name->len) != 0)
    {
        return 0;
    }

    p = field->value.data + name->len;
    last = field->value.data + field->value.len;

    while (p < last && *p == ' ') {
        p++;
    }

    if (p == last || *p != '=') {
        return 0;
    }

    p++;

    while (p < last && *p == ' ') {
        p++;
    }

    end = ngx_strlchr(p, last, ';');

    value->data = p;
    value->len = (end ? end : last) - p;

    return 1;
}
