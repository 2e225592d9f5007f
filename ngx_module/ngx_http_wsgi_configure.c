
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the runtime is told of the configuration.
 */


#include "ngx_http_wsgi_module.h"


static ngx_int_t ngx_http_wsgi_configure_lists(
    ngx_http_wsgi_main_conf_t *mcf, nwsgi_config_t *conf, ngx_pool_t *pool);
static ngx_int_t ngx_http_wsgi_configure_apps(
    ngx_http_wsgi_main_conf_t *mcf, nwsgi_config_t *conf, ngx_pool_t *pool);
static ngx_int_t ngx_http_wsgi_configure_middleware(ngx_array_t *middleware,
    nwsgi_app_conf_t *app, ngx_pool_t *pool);


ngx_int_t
ngx_http_wsgi_configure(ngx_cycle_t *cycle, ngx_http_wsgi_main_conf_t *mcf,
    nwsgi_config_t *conf, ngx_pool_t *pool)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    ngx_memzero(conf, sizeof(nwsgi_config_t));

    conf->size = sizeof(nwsgi_config_t);
    conf->optimize = mcf->optimize;
    conf->start_timeout = mcf->start_timeout;
    conf->shutdown_timeout = mcf->shutdown_timeout;
    conf->workers = (ngx_process == NGX_PROCESS_SINGLE) ? 1
                                                        : ccf->worker_processes;
    conf->check = (mcf->check == NGX_HTTP_WSGI_CHECK_IMPORT);
    conf->reloading = mcf->script_reloading
                      && ngx_process == NGX_PROCESS_WORKER;
    conf->ident = NGINX_VER;
    conf->ident_len = sizeof(NGINX_VER) - 1;

    /* NULL if they are not set */

    conf->home = (char *) mcf->python_home.data;
    conf->executable = (char *) mcf->python_executable.data;
    conf->directory = (char *) mcf->directory.data;

    if (ngx_http_wsgi_configure_lists(mcf, conf, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_wsgi_configure_apps(mcf, conf, pool);
}


static ngx_int_t
ngx_http_wsgi_configure_lists(ngx_http_wsgi_main_conf_t *mcf,
    nwsgi_config_t *conf, ngx_pool_t *pool)
{
    ngx_str_t     *path;
    ngx_uint_t     i;
    const char   **names;
    nwsgi_env_t   *env;
    ngx_keyval_t  *kv;

    names = ngx_palloc(pool, mcf->path.nelts * sizeof(char *) + 1);
    env = ngx_palloc(pool, mcf->env.nelts * sizeof(nwsgi_env_t) + 1);

    if (names == NULL || env == NULL) {
        return NGX_ERROR;
    }

    path = mcf->path.elts;

    for (i = 0; i < mcf->path.nelts; i++) {
        names[i] = (char *) path[i].data;
    }

    kv = mcf->env.elts;

    for (i = 0; i < mcf->env.nelts; i++) {
        env[i].name = (char *) kv[i].key.data;
        env[i].value = (char *) kv[i].value.data;
    }

    conf->path = names;
    conf->npath = mcf->path.nelts;
    conf->env = env;
    conf->nenv = mcf->env.nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_configure_apps(ngx_http_wsgi_main_conf_t *mcf,
    nwsgi_config_t *conf, ngx_pool_t *pool)
{
    ngx_uint_t              i;
    nwsgi_app_conf_t       *app;
    nwsgi_pool_conf_t      *pl;
    ngx_http_wsgi_app_t   **apps;
    ngx_http_wsgi_pool_t  **pools;

    app = ngx_pcalloc(pool, mcf->apps.nelts * sizeof(nwsgi_app_conf_t));
    pl = ngx_pcalloc(pool, mcf->pools.nelts * sizeof(nwsgi_pool_conf_t));

    if (app == NULL || pl == NULL) {
        return NGX_ERROR;
    }

    conf->apps = app;
    conf->napps = mcf->apps.nelts;
    conf->pools = pl;
    conf->npools = mcf->pools.nelts;

    apps = mcf->apps.elts;

    for (i = 0; i < mcf->apps.nelts; i++) {
        app[i].size = sizeof(nwsgi_app_conf_t);
        app[i].preload = mcf->preload;
        app[i].target = (char *) apps[i]->spec.target.data;
        app[i].callable = (char *) apps[i]->spec.callable.data;

        if (ngx_http_wsgi_configure_middleware(apps[i]->spec.middleware,
                                               &app[i], pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    pools = mcf->pools.elts;

    for (i = 0; i < mcf->pools.nelts; i++) {
        pl[i].size = sizeof(nwsgi_pool_conf_t);
        pl[i].threads = pools[i]->threads;
        pl[i].queue = pools[i]->queue;
        pl[i].name = (char *) pools[i]->name.data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_configure_middleware(ngx_array_t *middleware,
    nwsgi_app_conf_t *app, ngx_pool_t *pool)
{
    ngx_str_t    *name;
    ngx_uint_t    i;
    const char  **names;

    if (middleware == NULL) {
        return NGX_OK;
    }

    names = ngx_palloc(pool, middleware->nelts * sizeof(char *));
    if (names == NULL) {
        return NGX_ERROR;
    }

    name = middleware->elts;

    for (i = 0; i < middleware->nelts; i++) {
        names[i] = (char *) name[i].data;
    }

    app->middleware = names;
    app->nmiddleware = middleware->nelts;

    return NGX_OK;
}
