
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 */


#include "ngx_http_wsgi_zone.h"


static ngx_int_t ngx_http_wsgi_postconfiguration(ngx_conf_t *cf);


static ngx_conf_post_t  ngx_http_wsgi_directory_post = {
    ngx_http_wsgi_check_directory
};


static ngx_conf_post_t  ngx_http_wsgi_file_post = {
    ngx_http_wsgi_check_file
};


static ngx_conf_num_bounds_t  ngx_http_wsgi_optimize_bounds = {
    ngx_conf_check_num_bounds, 0, 2
};


static ngx_conf_num_bounds_t  ngx_http_wsgi_threads_bounds = {
    ngx_conf_check_num_bounds, 1, NGX_HTTP_WSGI_MAX_THREADS
};


static ngx_conf_enum_t  ngx_http_wsgi_checks[] = {
    { ngx_string("off"), NGX_HTTP_WSGI_CHECK_OFF },
    { ngx_string("import"), NGX_HTTP_WSGI_CHECK_IMPORT },
    { ngx_null_string, 0 }
};


static ngx_http_wsgi_unit_e  ngx_http_wsgi_count = NGX_HTTP_WSGI_UNIT_COUNT;
static ngx_http_wsgi_unit_e  ngx_http_wsgi_time = NGX_HTTP_WSGI_UNIT_TIME;
static ngx_http_wsgi_unit_e  ngx_http_wsgi_size = NGX_HTTP_WSGI_UNIT_SIZE;


static ngx_conf_enum_t  ngx_http_wsgi_cancel[] = {
    { ngx_string("off"), NGX_HTTP_WSGI_CANCEL_OFF },
    { ngx_string("notify"), NGX_HTTP_WSGI_CANCEL_NOTIFY },
    { ngx_string("raise"), NGX_HTTP_WSGI_CANCEL_RAISE },
    { ngx_null_string, 0 }
};


/* The other headers that nginx knows to ignore are for caches. */

static ngx_conf_bitmask_t  ngx_http_wsgi_ignore_masks[] = {
    { ngx_string("X-Accel-Redirect"), NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT },
    { ngx_string("X-Accel-Limit-Rate"), NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE },
    { ngx_string("X-Accel-Buffering"), NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING },
    { ngx_string("X-Accel-Charset"), NGX_HTTP_UPSTREAM_IGN_XA_CHARSET },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_wsgi_commands[] = {

    { ngx_string("wsgi_python_home"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, python_home),
      &ngx_http_wsgi_directory_post },

    { ngx_string("wsgi_python_path"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_wsgi_set_python_path,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_python_executable"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, python_executable),
      &ngx_http_wsgi_file_post },

    { ngx_string("wsgi_python_optimize"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, optimize),
      &ngx_http_wsgi_optimize_bounds },

    { ngx_string("wsgi_directory"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, directory),
      &ngx_http_wsgi_directory_post },

    { ngx_string("wsgi_env"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_wsgi_set_env,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_threads"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, threads),
      &ngx_http_wsgi_threads_bounds },

    { ngx_string("wsgi_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_wsgi_set_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_preload"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, preload),
      NULL },

    { ngx_string("wsgi_check"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, check),
      &ngx_http_wsgi_checks },

    { ngx_string("wsgi_start_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, start_timeout),
      NULL },

    { ngx_string("wsgi_shutdown_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, shutdown_timeout),
      NULL },

    { ngx_string("wsgi_script_reloading"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, script_reloading),
      NULL },

    { ngx_string("wsgi_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_wsgi_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_max_requests"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_wsgi_set_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, max_requests),
      &ngx_http_wsgi_count },

    { ngx_string("wsgi_max_lifetime"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_wsgi_set_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, max_lifetime),
      &ngx_http_wsgi_time },

    { ngx_string("wsgi_max_rss"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_wsgi_set_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_wsgi_main_conf_t, max_rss),
      &ngx_http_wsgi_size },

    { ngx_string("wsgi_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE12,
      ngx_http_wsgi_set_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_middleware"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_wsgi_set_middleware,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_access"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LMT_CONF
                        |NGX_CONF_TAKE12,
      ngx_http_wsgi_set_access,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_use_pool"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_wsgi_set_use_pool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_param"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_http_wsgi_set_param,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_script_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_wsgi_set_script_name,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wsgi_pass_request_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, pass_headers),
      NULL },

    { ngx_string("wsgi_pass_request_body"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, pass_body),
      NULL },

    { ngx_string("wsgi_pass_authorization"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, pass_authorization),
      NULL },

    { ngx_string("wsgi_request_buffering"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, request_buffering),
      NULL },

    { ngx_string("wsgi_ignore_client_abort"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, ignore_client_abort),
      NULL },

    { ngx_string("wsgi_cancel"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, cancel),
      &ngx_http_wsgi_cancel },

    { ngx_string("wsgi_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, timeout),
      NULL },

    { ngx_string("wsgi_buffering"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, buffering),
      NULL },

    { ngx_string("wsgi_buffers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_bufs_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, bufs),
      NULL },

    { ngx_string("wsgi_buffer_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, buffer_size),
      NULL },

    { ngx_string("wsgi_temp_path"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1234,
      ngx_conf_set_path_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, temp_path),
      NULL },

    { ngx_string("wsgi_max_temp_file_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_off_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, max_temp_file_size),
      NULL },

    { ngx_string("wsgi_force_ranges"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, force_ranges),
      NULL },

    { ngx_string("wsgi_hide_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_array_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, hide_headers),
      NULL },

    { ngx_string("wsgi_pass_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_array_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, show_headers),
      NULL },

    { ngx_string("wsgi_ignore_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, ignore_headers),
      &ngx_http_wsgi_ignore_masks },

    { ngx_string("wsgi_intercept_errors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wsgi_loc_conf_t, intercept_errors),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_wsgi_module_ctx = {
    ngx_http_wsgi_add_variables,           /* preconfiguration */
    ngx_http_wsgi_postconfiguration,       /* postconfiguration */

    ngx_http_wsgi_create_main_conf,        /* create main configuration */
    ngx_http_wsgi_init_main_conf,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_wsgi_create_loc_conf,         /* create location configuration */
    ngx_http_wsgi_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_wsgi_module = {
    NGX_MODULE_V1,
    &ngx_http_wsgi_module_ctx,             /* module context */
    ngx_http_wsgi_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_wsgi_workers_init_module,     /* init module */
    ngx_http_wsgi_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_wsgi_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* All applications are known now. */

static ngx_int_t
ngx_http_wsgi_postconfiguration(ngx_conf_t *cf)
{
    ngx_str_t                   name = ngx_string("request_id");
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    if (mcf->apps.nelts == 0) {
        return NGX_OK;
    }

    mcf->request_id = ngx_http_get_variable_index(cf, &name);

    if (mcf->request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ngx_http_wsgi_add_zone(cf) != NGX_OK
        || ngx_http_wsgi_drain_add_handler(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_wsgi_init_access(cf);
}
