
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The setters of directives that need more than one of nginx's own.
 */


#include "ngx_http_wsgi_module.h"


static ngx_int_t ngx_http_wsgi_parse_pool_arg(ngx_http_wsgi_pool_t *pool,
    ngx_str_t *arg);


char *
ngx_http_wsgi_check_directory(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *path = data;

    ngx_str_t        *name;
    ngx_file_info_t   fi;

    name = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%V\": the directory \"%V\" cannot be used",
                           name, path);
        return NGX_CONF_ERROR;
    }

    if (!ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\": \"%V\" is not a directory",
                           name, path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_check_file(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *path = data;

    ngx_str_t        *name;
    ngx_file_info_t   fi;

    name = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%V\": the file \"%V\" cannot be used",
                           name, path);
        return NGX_CONF_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\": \"%V\" is not a file",
                           name, path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_python_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_main_conf_t *mcf = conf;

    ngx_str_t   *value, *path;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "has an empty path";
        }

        path = ngx_array_push(&mcf->path);
        if (path == NULL) {
            return NGX_CONF_ERROR;
        }

        *path = value[i];

        if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_env(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_main_conf_t *mcf = conf;

    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (value[1].len == 0
        || ngx_strlchr(value[1].data, value[1].data + value[1].len, '='))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of an environment variable \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    kv = mcf->env.elts;

    for (i = 0; i < mcf->env.nelts; i++) {
        if (ngx_http_wsgi_equal(&kv[i].key, &value[1])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the environment variable \"%V\" is set twice",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(&mcf->env);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];
    kv->value = value[2];

    return NGX_CONF_OK;
}


ngx_http_wsgi_pool_t *
ngx_http_wsgi_get_pool(ngx_conf_t *cf, ngx_http_wsgi_main_conf_t *mcf,
    ngx_str_t *name)
{
    ngx_uint_t              i;
    ngx_http_wsgi_pool_t   *pool, **pools;

    pools = mcf->pools.elts;

    for (i = 0; i < mcf->pools.nelts; i++) {
        if (ngx_http_wsgi_equal(&pools[i]->name, name)) {
            return pools[i];
        }
    }

    pool = ngx_pcalloc(cf->pool, sizeof(ngx_http_wsgi_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pools = ngx_array_push(&mcf->pools);
    if (pools == NULL) {
        return NULL;
    }

    *pools = pool;

    pool->name = *name;
    pool->index = mcf->pools.nelts - 1;
    pool->queue = 256;
    pool->queue_timeout = 30000;
    pool->file = cf->conf_file->file.name.data;
    pool->line = cf->conf_file->line;

    return pool;
}


char *
ngx_http_wsgi_set_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_main_conf_t *mcf = conf;

    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_http_wsgi_pool_t  *pool;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty name";
    }

    pool = ngx_http_wsgi_get_pool(cf, mcf, &value[1]);
    if (pool == NULL) {
        return NGX_CONF_ERROR;
    }

    if (pool->declared) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate pool \"%V\", the first is in %s:%ui",
                           &value[1], pool->file, pool->line);
        return NGX_CONF_ERROR;
    }

    pool->declared = 1;
    pool->file = cf->conf_file->file.name.data;
    pool->line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_wsgi_parse_pool_arg(pool, &value[i]) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    /* those of "default" may come from wsgi_threads */

    if (pool->threads == 0 && pool->index != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "pool \"%V\" must have the \"threads\" parameter",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_wsgi_parse_pool_arg(ngx_http_wsgi_pool_t *pool, ngx_str_t *arg)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(arg->data, "threads=", 8) == 0) {
        n = ngx_atoi(arg->data + 8, arg->len - 8);

        if (n < 1 || n > NGX_HTTP_WSGI_MAX_THREADS) {
            return NGX_ERROR;
        }

        pool->threads = n;

        return NGX_OK;
    }

    if (ngx_strncmp(arg->data, "queue=", 6) == 0) {
        n = ngx_atoi(arg->data + 6, arg->len - 6);

        if (n < 1 || n > NGX_HTTP_WSGI_MAX_QUEUE) {
            return NGX_ERROR;
        }

        pool->queue = n;

        return NGX_OK;
    }

    if (ngx_strncmp(arg->data, "queue_timeout=", 14) == 0) {
        s.data = arg->data + 14;
        s.len = arg->len - 14;

        n = ngx_parse_time(&s, 0);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        pool->queue_timeout = n;

        return NGX_OK;
    }

    return NGX_ERROR;
}


char *
ngx_http_wsgi_set_use_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    ngx_str_t                  *value;
    ngx_http_wsgi_main_conf_t  *mcf;

    if (wlcf->pool) {
        return "is duplicate";
    }

    value = cf->args->elts;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    /* it may be declared below: see ngx_http_wsgi_init_pools() */

    wlcf->pool = ngx_http_wsgi_get_pool(cf, mcf, &value[1]);
    if (wlcf->pool == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    ngx_str_t                         *value;
    ngx_http_wsgi_param_t             *param;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    /* these are objects that the runtime makes, not strings */

    if (value[1].len == 0
        || (ngx_strncmp(value[1].data, "wsgi.", 5) == 0
            && ngx_strcmp(value[1].data, "wsgi.url_scheme") != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot be set", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4
        && ngx_strcmp(value[3].data, "if_not_empty") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[3]);
        return NGX_CONF_ERROR;
    }

    if (wlcf->params == NULL) {
        wlcf->params = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_http_wsgi_param_t));
        if (wlcf->params == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    param = ngx_array_push(wlcf->params);
    if (param == NULL) {
        return NGX_CONF_ERROR;
    }

    param->name = value[1];
    param->hash = 0;
    param->skip_empty = (cf->args->nelts == 4);

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &param->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wsgi_set_script_name(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wsgi_loc_conf_t *wlcf = conf;

    ngx_str_t  *value;

    if (wlcf->script_name != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        wlcf->script_name = NGX_HTTP_WSGI_SCRIPT_NAME_OFF;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "auto") == 0) {
        wlcf->script_name = NGX_HTTP_WSGI_SCRIPT_NAME_AUTO;
        return NGX_CONF_OK;
    }

    if (value[1].len == 0 || value[1].data[0] != '/'
        || ngx_strlchr(value[1].data, value[1].data + value[1].len, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it has to be \"off\", "
                           "\"auto\" or a path without variables that begins "
                           "with \"/\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    wlcf->script_name = NGX_HTTP_WSGI_SCRIPT_NAME_PREFIX;
    wlcf->script_prefix = value[1];

    while (wlcf->script_prefix.len
           && wlcf->script_prefix.data[wlcf->script_prefix.len - 1] == '/')
    {
        wlcf->script_prefix.len--;
    }

    return NGX_CONF_OK;
}
