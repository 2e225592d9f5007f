
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Configurations: how they are created, what they inherit, and what is the
 * default.
 */


#include "ngx_http_wsgi_module.h"


static char *ngx_http_wsgi_init_pools(ngx_conf_t *cf,
    ngx_http_wsgi_main_conf_t *mcf);
static char *ngx_http_wsgi_merge_temp_path(ngx_conf_t *cf,
    ngx_http_wsgi_loc_conf_t *prev, ngx_http_wsgi_loc_conf_t *conf);
static char *ngx_http_wsgi_merge_apps(ngx_conf_t *cf,
    ngx_http_wsgi_loc_conf_t *prev, ngx_http_wsgi_loc_conf_t *conf);
static char *ngx_http_wsgi_merge_script_name(ngx_conf_t *cf,
    ngx_http_wsgi_loc_conf_t *prev, ngx_http_wsgi_loc_conf_t *conf);


void *
ngx_http_wsgi_create_main_conf(ngx_conf_t *cf)
{
    ngx_str_t                   name = ngx_string("default");
    ngx_http_wsgi_pool_t       *pool;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_wsgi_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->python_home = { 0, NULL };
     *     mcf->python_executable = { 0, NULL };
     *     mcf->directory = { 0, NULL };
     *     mcf->max_requests = { 0, 0, 0 };
     *     mcf->max_lifetime = { 0, 0, 0 };
     *     mcf->max_rss = { 0, 0, 0 };
     */

    mcf->optimize = NGX_CONF_UNSET_UINT;
    mcf->threads = NGX_CONF_UNSET_UINT;
    mcf->preload = NGX_CONF_UNSET;
    mcf->check = NGX_CONF_UNSET_UINT;
    mcf->start_timeout = NGX_CONF_UNSET_MSEC;
    mcf->shutdown_timeout = NGX_CONF_UNSET_MSEC;
    mcf->script_reloading = NGX_CONF_UNSET;

    if (ngx_array_init(&mcf->path, cf->pool, 4, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&mcf->env, cf->pool, 4, sizeof(ngx_keyval_t))
           != NGX_OK
        || ngx_array_init(&mcf->pools, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&mcf->apps, cf->pool, 4, sizeof(void *)) != NGX_OK)
    {
        return NULL;
    }

    /* the first pool is the default one, whether it is named or not */

    pool = ngx_http_wsgi_get_pool(cf, mcf, &name);
    if (pool == NULL) {
        return NULL;
    }

    mcf->request_id = NGX_ERROR;

    return mcf;
}


char *
ngx_http_wsgi_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_wsgi_main_conf_t  *mcf = conf;

    ngx_conf_init_uint_value(mcf->optimize, 0);
    ngx_conf_init_value(mcf->preload, 1);
    ngx_conf_init_uint_value(mcf->check, NGX_HTTP_WSGI_CHECK_IMPORT);
    ngx_conf_init_msec_value(mcf->start_timeout, 60000);
    ngx_conf_init_msec_value(mcf->shutdown_timeout, 10000);
    ngx_conf_init_value(mcf->script_reloading, 0);

    return ngx_http_wsgi_init_pools(cf, mcf);
}


static char *
ngx_http_wsgi_init_pools(ngx_conf_t *cf, ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_uint_t              i, n;
    ngx_http_wsgi_pool_t  **pools;

    pools = mcf->pools.elts;

    if (mcf->threads != NGX_CONF_UNSET_UINT) {

        if (pools[0]->threads) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the threads of the pool \"default\" are set by "
                          "\"wsgi_threads\" and again in %s:%ui",
                          pools[0]->file, pools[0]->line);
            return NGX_CONF_ERROR;
        }

        pools[0]->threads = mcf->threads;
    }

    if (pools[0]->threads == 0) {
        pools[0]->threads = 8;
    }

    n = 0;

    for (i = 0; i < mcf->pools.nelts; i++) {

        if (i && !pools[i]->declared) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "there is no \"wsgi_pool %V\" for \"wsgi_use_pool\" "
                          "in %s:%ui",
                          &pools[i]->name, pools[i]->file, pools[i]->line);
            return NGX_CONF_ERROR;
        }

        n += pools[i]->threads;
    }

    if (n > NGX_HTTP_WSGI_MAX_THREADS) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"wsgi_threads\" and \"wsgi_pool\" give %ui threads "
                      "in all, more than %d", n, NGX_HTTP_WSGI_MAX_THREADS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_wsgi_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_wsgi_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_wsgi_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->pass = { { 0, NULL }, { 0, NULL }, NULL };
     *     conf->app = NULL;
     *     conf->pool = NULL;
     *     conf->params = NULL;
     *     conf->script_prefix = { 0, NULL };
     *     conf->bufs.num = 0;
     *     conf->temp_path = NULL;
     *     conf->ignore_headers = 0;
     *     conf->hidden = NULL;
     */

    conf->access = NGX_CONF_UNSET_PTR;
    conf->middleware = NGX_CONF_UNSET_PTR;
    conf->script_name = NGX_CONF_UNSET_UINT;
    conf->pass_headers = NGX_CONF_UNSET;
    conf->pass_body = NGX_CONF_UNSET;
    conf->request_buffering = NGX_CONF_UNSET;
    conf->ignore_client_abort = NGX_CONF_UNSET;
    conf->cancel = NGX_CONF_UNSET_UINT;
    conf->pass_authorization = NGX_CONF_UNSET;
    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->buffering = NGX_CONF_UNSET;
    conf->force_ranges = NGX_CONF_UNSET;
    conf->buffer_size = NGX_CONF_UNSET_SIZE;
    conf->max_temp_file_size = NGX_CONF_UNSET;
    conf->intercept_errors = NGX_CONF_UNSET;
    conf->hide_headers = NGX_CONF_UNSET_PTR;
    conf->show_headers = NGX_CONF_UNSET_PTR;

    return conf;
}


char *
ngx_http_wsgi_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_wsgi_loc_conf_t *prev = parent;
    ngx_http_wsgi_loc_conf_t *conf = child;

    ngx_http_wsgi_pool_t      **pools;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_wsgi_main_conf_t  *mcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    ngx_conf_merge_value(conf->pass_headers, prev->pass_headers, 1);
    ngx_conf_merge_value(conf->pass_body, prev->pass_body, 1);
    ngx_conf_merge_value(conf->pass_authorization, prev->pass_authorization,
                         1);
    ngx_conf_merge_value(conf->request_buffering, prev->request_buffering, 1);
    ngx_conf_merge_value(conf->ignore_client_abort, prev->ignore_client_abort,
                         0);
    ngx_conf_merge_uint_value(conf->cancel, prev->cancel,
                              NGX_HTTP_WSGI_CANCEL_NOTIFY);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 60000);
    ngx_conf_merge_value(conf->buffering, prev->buffering, 1);
    ngx_conf_merge_value(conf->force_ranges, prev->force_ranges, 0);
    ngx_conf_merge_bufs_value(conf->bufs, prev->bufs, 8, ngx_pagesize);
    ngx_conf_merge_value(conf->intercept_errors, prev->intercept_errors, 0);
    ngx_conf_merge_bitmask_value(conf->ignore_headers, prev->ignore_headers,
                                 NGX_CONF_BITMASK_SET);
    ngx_conf_merge_size_value(conf->buffer_size, prev->buffer_size,
                              ngx_pagesize);
    ngx_conf_merge_off_value(conf->max_temp_file_size,
                             prev->max_temp_file_size,
                             (off_t) 1024 * 1024 * 1024);

    if (conf->params == NULL) {
        conf->params = prev->params;
    }

    if (conf->pool == NULL) {
        pools = mcf->pools.elts;
        conf->pool = prev->pool ? prev->pool : pools[0];
    }

    if (ngx_http_wsgi_merge_apps(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL && conf->app) {
        clcf->handler = ngx_http_wsgi_handler;
    }

    if (ngx_http_wsgi_merge_temp_path(cf, prev, conf) != NGX_CONF_OK
        || ngx_http_wsgi_merge_headers(cf, prev, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_wsgi_merge_script_name(cf, prev, conf);
}


/*
 * By default it is in client_body_temp_path, which this nginx can write,
 * wherever that is and whoever runs it.  nginx makes the directory when it
 * starts: none where there is no application.
 */

static char *
ngx_http_wsgi_merge_temp_path(ngx_conf_t *cf, ngx_http_wsgi_loc_conf_t *prev,
    ngx_http_wsgi_loc_conf_t *conf)
{
    u_char                    *p;
    ngx_str_t                 *body;
    ngx_path_init_t            init = { ngx_null_string, { 1, 2, 0 } };
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->temp_path == NULL) {
        conf->temp_path = prev->temp_path;
    }

    if (conf->temp_path || (conf->app == NULL && conf->access == NULL)) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    body = &clcf->client_body_temp_path->name;

    p = ngx_pnalloc(cf->pool, body->len + sizeof("/wsgi"));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    init.name.data = p;
    init.name.len = ngx_sprintf(p, "%V/wsgi%Z", body) - p - 1;

    return ngx_conf_merge_path_value(cf, &conf->temp_path, NULL, &init);
}


static char *
ngx_http_wsgi_merge_apps(ngx_conf_t *cf, ngx_http_wsgi_loc_conf_t *prev,
    ngx_http_wsgi_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->access, prev->access, NULL);
    ngx_conf_merge_ptr_value(conf->middleware, prev->middleware, NULL);

    if (conf->pass.target.data) {
        conf->pass.middleware = conf->middleware;

        conf->app = ngx_http_wsgi_get_app(cf, &conf->pass);
        if (conf->app == NULL) {
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    /* "if" and "limit_except" blocks run what their location runs */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {
        conf->app = prev->app;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wsgi_merge_script_name(ngx_conf_t *cf, ngx_http_wsgi_loc_conf_t *prev,
    ngx_http_wsgi_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->script_name == NGX_CONF_UNSET_UINT) {
        conf->script_prefix = prev->script_prefix;
    }

    ngx_conf_merge_uint_value(conf->script_name, prev->script_name,
                              NGX_HTTP_WSGI_SCRIPT_NAME_OFF);

    if (conf->script_name != NGX_HTTP_WSGI_SCRIPT_NAME_AUTO
        || (conf->app == NULL && conf->access == NULL))
    {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->named
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"wsgi_script_name auto\" has no prefix to take in "
                           "location \"%V\", which is given by regular "
                           "expression or named; write the prefix or \"off\"",
                           &clcf->name);
        return NGX_CONF_ERROR;
    }

    conf->script_prefix = clcf->name;

    if (conf->script_prefix.len
        && conf->script_prefix.data[conf->script_prefix.len - 1] == '/')
    {
        conf->script_prefix.len--;
    }

    return NGX_CONF_OK;
}
