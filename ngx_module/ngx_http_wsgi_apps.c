
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The directives that name applications: wsgi_pass, wsgi_access and
 * wsgi_middleware.
 */


#include "ngx_http_wsgi_module.h"


static char *ngx_http_wsgi_parse_spec(ngx_conf_t *cf,
    ngx_http_wsgi_spec_t *spec);
static char *ngx_http_wsgi_check_target(ngx_conf_t *cf, ngx_str_t *target);
static ngx_uint_t ngx_http_wsgi_is_dotted(u_char *p, u_char *last);
static ngx_uint_t ngx_http_wsgi_is_callable(u_char *p, u_char *last);
static ngx_uint_t ngx_http_wsgi_is_same(ngx_http_wsgi_spec_t *one,
    ngx_http_wsgi_spec_t *two);


char *
ngx_http_wsgi_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (wlcf->pass.target.data) {
        return "is duplicate";
    }

    /* its middleware may be set below, or inherited: see the merge */

    if (ngx_http_wsgi_parse_spec(cf, &wlcf->pass) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_wsgi_handler;

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_access(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    ngx_str_t                  *value;
    ngx_http_wsgi_spec_t        spec;
    ngx_http_wsgi_main_conf_t  *mcf;

    if (wlcf->access != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        wlcf->access = NULL;
        return NGX_CONF_OK;
    }

    ngx_memzero(&spec, sizeof(ngx_http_wsgi_spec_t));

    if (ngx_http_wsgi_parse_spec(cf, &spec) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    wlcf->access = ngx_http_wsgi_get_app(cf, &spec);
    if (wlcf->access == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);
    mcf->access = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_middleware(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    u_char      *colon, *last;
    ngx_str_t   *value, *name;
    ngx_uint_t   off;

    value = cf->args->elts;

    off = (ngx_strcmp(value[1].data, "off") == 0);

    if (wlcf->middleware != NGX_CONF_UNSET_PTR
        && (off || wlcf->middleware == NULL))
    {
        return "\"off\" cannot be combined with others";
    }

    if (off) {
        wlcf->middleware = NULL;
        return NGX_CONF_OK;
    }

    last = value[1].data + value[1].len;
    colon = ngx_strlchr(value[1].data, last, ':');

    if (colon == NULL
        || !ngx_http_wsgi_is_dotted(value[1].data, colon)
        || !ngx_http_wsgi_is_dotted(colon + 1, last))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid middleware \"%V\", it has to be "
                           "\"module:callable\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (wlcf->middleware == NGX_CONF_UNSET_PTR) {
        wlcf->middleware = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (wlcf->middleware == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    name = ngx_array_push(wlcf->middleware);
    if (name == NULL) {
        return NGX_CONF_ERROR;
    }

    *name = value[1];

    return NGX_CONF_OK;
}


/* The arguments of wsgi_pass and wsgi_access. */

static char *
ngx_http_wsgi_parse_spec(ngx_conf_t *cf, ngx_http_wsgi_spec_t *spec)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_wsgi_check_target(cf, &value[1]) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    spec->target = value[1];

    if (cf->args->nelts == 3) {

        if (value[1].data[0] != '/') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "a callable can follow the path of a script "
                               "only, write \"%V:%V\"", &value[1], &value[2]);
            return NGX_CONF_ERROR;
        }

        if (!ngx_http_wsgi_is_callable(value[2].data,
                                       value[2].data + value[2].len))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid callable \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        spec->callable = value[2];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wsgi_check_target(ngx_conf_t *cf, ngx_str_t *target)
{
    u_char  *p, *last;

    p = target->data;
    last = p + target->len;

    if (ngx_strlchr(p, last, '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "an application cannot be named by variables: "
                           "\"%V\"", target);
        return NGX_CONF_ERROR;
    }

    if (*p == '/') {
        return NGX_CONF_OK;
    }

    if (target->len > 3 && ngx_strncmp(last - 3, ".py", 3) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" looks like a file: give its full path, or "
                           "the name of a module", target);
        return NGX_CONF_ERROR;
    }

    p = ngx_strlchr(p, last, ':');

    if (!ngx_http_wsgi_is_dotted(target->data, p ? p : last)
        || (p && !ngx_http_wsgi_is_callable(p + 1, last)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid application \"%V\", it has to be "
                           "\"module\", \"module:callable\", "
                           "\"module:factory()\" or \"/path/script.py\"",
                           target);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_wsgi_is_dotted(u_char *p, u_char *last)
{
    u_char      ch;
    ngx_uint_t  start;

    start = 1;

    for ( /* void */ ; p < last; p++) {
        ch = *p;

        if (ch == '.') {
            if (start) {
                return 0;
            }

            start = 1;
            continue;
        }

        /* a byte of UTF-8 is left to Python, which knows its letters */

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || ch == '_' || ch >= 0x80)
        {
            start = 0;
            continue;
        }

        if (start || ch < '0' || ch > '9') {
            return 0;
        }
    }

    return !start;
}


static ngx_uint_t
ngx_http_wsgi_is_callable(u_char *p, u_char *last)
{
    if (last - p > 2 && ngx_strncmp(last - 2, "()", 2) == 0) {
        last -= 2;
    }

    return ngx_http_wsgi_is_dotted(p, last);
}


ngx_http_wsgi_app_t *
ngx_http_wsgi_get_app(ngx_conf_t *cf, ngx_http_wsgi_spec_t *spec)
{
    ngx_uint_t                  i;
    ngx_http_wsgi_app_t        *app, **apps;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    apps = mcf->apps.elts;

    for (i = 0; i < mcf->apps.nelts; i++) {
        if (ngx_http_wsgi_is_same(&apps[i]->spec, spec)) {
            return apps[i];
        }
    }

    app = ngx_palloc(cf->pool, sizeof(ngx_http_wsgi_app_t));
    if (app == NULL) {
        return NULL;
    }

    apps = ngx_array_push(&mcf->apps);
    if (apps == NULL) {
        return NULL;
    }

    *apps = app;

    app->spec = *spec;
    app->index = mcf->apps.nelts - 1;
    app->name = spec->target;

    if (spec->callable.len == 0) {
        return app;
    }

    app->name.len = spec->target.len + 1 + spec->callable.len;
    app->name.data = ngx_pnalloc(cf->pool, app->name.len);
    if (app->name.data == NULL) {
        return NULL;
    }

    ngx_sprintf(app->name.data, "%V %V", &spec->target, &spec->callable);

    return app;
}


static ngx_uint_t
ngx_http_wsgi_is_same(ngx_http_wsgi_spec_t *one, ngx_http_wsgi_spec_t *two)
{
    ngx_str_t   *names, *others;
    ngx_uint_t   i;

    if (!ngx_http_wsgi_equal(&one->target, &two->target)
        || !ngx_http_wsgi_equal(&one->callable, &two->callable))
    {
        return 0;
    }

    if (one->middleware == NULL || two->middleware == NULL) {
        return one->middleware == two->middleware;
    }

    if (one->middleware->nelts != two->middleware->nelts) {
        return 0;
    }

    names = one->middleware->elts;
    others = two->middleware->elts;

    for (i = 0; i < one->middleware->nelts; i++) {
        if (!ngx_http_wsgi_equal(&names[i], &others[i])) {
            return 0;
        }
    }

    return 1;
}
