
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration is made of.
 */


#ifndef _NGX_HTTP_WSGI_CONF_H_INCLUDED_
#define _NGX_HTTP_WSGI_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_WSGI_MAX_THREADS  1024      /* of all pools */
#define NGX_HTTP_WSGI_MAX_QUEUE    1000000   /* requests of a pool */


/* configuration */

typedef struct {
    ngx_str_t                       name;
    ngx_uint_t                      index;
    ngx_uint_t                      threads;
    ngx_uint_t                      queue;
    ngx_msec_t                      queue_timeout;     /* 0: no limit */

    u_char                         *file;              /* of the first use */
    ngx_uint_t                      line;

    unsigned                        declared:1;
} ngx_http_wsgi_pool_t;


/* What makes an application: one of two that agree in it is enough. */

typedef struct {
    ngx_str_t                       target;            /* no data: not set */
    ngx_str_t                       callable;          /* of a script */
    ngx_array_t                    *middleware;        /* ngx_str_t; or NULL */
} ngx_http_wsgi_spec_t;


typedef struct {
    ngx_http_wsgi_spec_t            spec;
    ngx_str_t                       name;              /* for log lines */
    ngx_uint_t                      index;
} ngx_http_wsgi_app_t;


typedef struct {
    ngx_str_t                       name;
    uint32_t                        hash;              /* made by the worker at
                                                          its first use; or 0 */
    ngx_uint_t                      skip_empty;        /* if_not_empty */
    ngx_http_complex_value_t        value;
} ngx_http_wsgi_param_t;


/* wsgi_max_*: a limit, and how much more than it is drawn for each worker. */

typedef enum {
    NGX_HTTP_WSGI_UNIT_COUNT = 0,
    NGX_HTTP_WSGI_UNIT_TIME,                           /* msec */
    NGX_HTTP_WSGI_UNIT_SIZE
} ngx_http_wsgi_unit_e;


typedef struct {
    off_t                           value;             /* 0: no limit */
    off_t                           jitter;
    unsigned                        set:1;
} ngx_http_wsgi_limit_t;


typedef struct {
    ngx_str_t                       python_home;
    ngx_str_t                       python_executable;
    ngx_str_t                       directory;
    ngx_uint_t                      optimize;
    ngx_uint_t                      threads;
    ngx_flag_t                      preload;
    ngx_uint_t                      check;
    ngx_msec_t                      start_timeout;
    ngx_msec_t                      shutdown_timeout;
    ngx_flag_t                      script_reloading;
    ngx_http_wsgi_limit_t           max_requests;
    ngx_http_wsgi_limit_t           max_lifetime;
    ngx_http_wsgi_limit_t           max_rss;

    ngx_array_t                     path;              /* ngx_str_t */
    ngx_array_t                     env;               /* ngx_keyval_t */
    ngx_array_t                     pools;             /* of pointers */
    ngx_array_t                     apps;              /* of pointers */

    ngx_shm_zone_t                 *zone;              /* its data: _zone_t */
    ngx_uint_t                      zone_slots;        /* 0: not used */

    ngx_int_t                       request_id;        /* variables' indices */
    ngx_int_t                       remote_user;

    unsigned                        access:1;          /* wsgi_access is used */
} ngx_http_wsgi_main_conf_t;


#define NGX_HTTP_WSGI_CHECK_OFF     0
#define NGX_HTTP_WSGI_CHECK_IMPORT  1

#define NGX_HTTP_WSGI_SCRIPT_NAME_OFF     0
#define NGX_HTTP_WSGI_SCRIPT_NAME_AUTO    1
#define NGX_HTTP_WSGI_SCRIPT_NAME_PREFIX  2

#define NGX_HTTP_WSGI_CANCEL_OFF     0
#define NGX_HTTP_WSGI_CANCEL_NOTIFY  1
#define NGX_HTTP_WSGI_CANCEL_RAISE   2

typedef struct {
    ngx_http_wsgi_spec_t            pass;
    ngx_http_wsgi_app_t            *app;               /* NULL: no wsgi_pass */
    ngx_http_wsgi_app_t            *access;            /* NULL: off */
    ngx_array_t                    *middleware;        /* ngx_str_t */
    ngx_http_wsgi_pool_t           *pool;
    ngx_array_t                    *params;

    ngx_uint_t                      script_name;
    ngx_str_t                       script_prefix;     /* no slash at its end */

    ngx_flag_t                      pass_headers;
    ngx_flag_t                      pass_body;
    ngx_flag_t                      request_buffering;
    ngx_flag_t                      pass_authorization;
    ngx_flag_t                      ignore_client_abort;
    ngx_uint_t                      cancel;

    ngx_msec_t                      timeout;           /* 0: no limit */

    ngx_flag_t                      buffering;
    ngx_flag_t                      force_ranges;
    ngx_bufs_t                      bufs;
    size_t                          buffer_size;
    off_t                           max_temp_file_size;
    ngx_path_t                     *temp_path;

    ngx_flag_t                      intercept_errors;
    ngx_uint_t                      ignore_headers;    /* bits of upstreams */
    ngx_array_t                    *hide_headers;      /* ngx_str_t, or NULL */
    ngx_array_t                    *show_headers;      /* wsgi_pass_header */
    ngx_array_t                    *hidden;            /* what results */
} ngx_http_wsgi_loc_conf_t;


/* _merge.c: called by nginx as ngx_http_module_t says */

void *ngx_http_wsgi_create_main_conf(ngx_conf_t *cf);
char *ngx_http_wsgi_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_wsgi_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_wsgi_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);


/* _conf.c: setters, called by nginx as ngx_command_t says */

char *ngx_http_wsgi_set_python_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wsgi_set_env(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wsgi_set_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wsgi_set_use_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wsgi_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wsgi_set_access(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wsgi_set_middleware(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wsgi_set_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wsgi_set_script_name(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* _recycle.c: a setter of wsgi_max_*, cmd->post is its unit */

char *ngx_http_wsgi_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Post handlers of paths, which they make full: is it there, is it one? */

char *ngx_http_wsgi_check_directory(ngx_conf_t *cf, void *post, void *data);
char *ngx_http_wsgi_check_file(ngx_conf_t *cf, void *post, void *data);

/* The application that this describes, added if it is new; NULL: no memory. */
ngx_http_wsgi_app_t *ngx_http_wsgi_get_app(ngx_conf_t *cf,
    ngx_http_wsgi_spec_t *spec);

/* The pool of that name, made if it is not there; NULL: no memory. */
ngx_http_wsgi_pool_t *ngx_http_wsgi_get_pool(ngx_conf_t *cf,
    ngx_http_wsgi_main_conf_t *mcf, ngx_str_t *name);


#endif /* _NGX_HTTP_WSGI_CONF_H_INCLUDED_ */
