
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * libngx_wsgi.so: where it is, whether it fits, and how it is loaded.
 *
 * It holds a Go runtime, which does not survive fork().  So the master, and
 * "nginx -t", look into the file and never load it; each worker loads it for
 * itself.
 */


#include "ngx_http_wsgi_zone.h"

#include <dlfcn.h>


#define NGX_WSGI_LIBRARY       "libngx_wsgi.so"
#define NGX_WSGI_LIBRARY_SIZE  (512 * 1024 * 1024)


typedef struct {
    ngx_str_t  library;
} ngx_wsgi_conf_t;


static void *ngx_wsgi_create_conf(ngx_cycle_t *cycle);
static char *ngx_wsgi_init_conf(ngx_cycle_t *cycle, void *conf);
static char *ngx_wsgi_find_library(ngx_cycle_t *cycle, ngx_wsgi_conf_t *wcf);
static char *ngx_wsgi_check_library(ngx_cycle_t *cycle, ngx_str_t *path);
static char *ngx_wsgi_read_library(ngx_cycle_t *cycle, ngx_file_t *file,
    ngx_str_t *text);
static ngx_int_t ngx_wsgi_library_abi(ngx_str_t *text);
static void ngx_wsgi_keep_module(ngx_cycle_t *cycle);


/* a directive of the main context has to belong to a core module */

static ngx_command_t  ngx_wsgi_commands[] = {

    { ngx_string("wsgi_library"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      0,
      offsetof(ngx_wsgi_conf_t, library),
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_wsgi_module_ctx = {
    ngx_string("wsgi"),
    ngx_wsgi_create_conf,
    ngx_wsgi_init_conf
};


ngx_module_t  ngx_wsgi_module = {
    NGX_MODULE_V1,
    &ngx_wsgi_module_ctx,                  /* module context */
    ngx_wsgi_commands,                     /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_wsgi_create_conf(ngx_cycle_t *cycle)
{
    /*
     * set by ngx_pcalloc():
     *
     *     wcf->library = { 0, NULL };
     */

    return ngx_pcalloc(cycle->pool, sizeof(ngx_wsgi_conf_t));
}


static char *
ngx_wsgi_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_wsgi_conf_t *wcf = conf;

    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wsgi_module);

    if (mcf == NULL || mcf->apps.nelts == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_http_wsgi_init_zone_conf(cycle, mcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_wsgi_find_library(cycle, wcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_wsgi_check_library(cycle, &wcf->library) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_wsgi_check(cycle, mcf);
}


/* The library is where wsgi_library says, or beside the module's own file. */

static char *
ngx_wsgi_find_library(ngx_cycle_t *cycle, ngx_wsgi_conf_t *wcf)
{
    size_t      len;
    u_char     *p;
    Dl_info     info;
    ngx_str_t  *path;

    path = &wcf->library;

    if (path->data) {

        if (path->len == 0) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"wsgi_library\" has an empty path");
            return NGX_CONF_ERROR;
        }

        return ngx_conf_full_name(cycle, path, 0) == NGX_OK ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
    }

    if (dladdr(&ngx_wsgi_module, &info) == 0 || info.dli_fname == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "the directory of the wsgi module is not known, set "
                      "\"wsgi_library\"");
        return NGX_CONF_ERROR;
    }

    p = (u_char *) strrchr(info.dli_fname, '/');
    len = p ? p + 1 - (u_char *) info.dli_fname : 0;

    path->len = len + sizeof(NGX_WSGI_LIBRARY) - 1;
    path->data = ngx_pnalloc(cycle->pool, path->len + 1);
    if (path->data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_cpymem(path->data, info.dli_fname, len);
    ngx_memcpy(p, NGX_WSGI_LIBRARY, sizeof(NGX_WSGI_LIBRARY));

    return ngx_conf_full_name(cycle, path, 0) == NGX_OK ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


static char *
ngx_wsgi_check_library(ngx_cycle_t *cycle, ngx_str_t *path)
{
    char        *rc;
    ngx_int_t    abi;
    ngx_str_t    text;
    ngx_file_t   file;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *path;
    file.log = cycle->log;

    file.fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "the wsgi library \"%V\" cannot be opened; "
                      "\"wsgi_library\" says where it is", path);
        return NGX_CONF_ERROR;
    }

    rc = ngx_wsgi_read_library(cycle, &file, &text);

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", path);
    }

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    abi = ngx_wsgi_library_abi(&text);

    ngx_free(text.data);

    if (abi == NGX_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"%V\" is not a library of ngx_wsgi", path);
        return NGX_CONF_ERROR;
    }

    if (abi != NWSGI_ABI) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "the wsgi library \"%V\" is of another version than the "
                      "module: its ABI is %i, the module's %d",
                      path, abi, NWSGI_ABI);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * Not by mmap(): a library that is being replaced at this moment must not be
 * able to end the master with SIGBUS.
 */

static char *
ngx_wsgi_read_library(ngx_cycle_t *cycle, ngx_file_t *file, ngx_str_t *text)
{
    off_t            size;
    ssize_t          n;
    ngx_file_info_t  fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &file->name);
        return NGX_CONF_ERROR;
    }

    size = ngx_file_size(&fi);

    if (!ngx_is_file(&fi) || size == 0 || size > NGX_WSGI_LIBRARY_SIZE) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"%V\" is not a library of ngx_wsgi", &file->name);
        return NGX_CONF_ERROR;
    }

    text->data = ngx_alloc((size_t) size, cycle->log);
    if (text->data == NULL) {
        return NGX_CONF_ERROR;
    }

    n = ngx_read_file(file, text->data, (size_t) size, 0);

    if (n == NGX_ERROR) {
        ngx_free(text->data);
        return NGX_CONF_ERROR;
    }

    text->len = n;

    return NGX_CONF_OK;
}


/* The number behind the marker, or NGX_ERROR. */

static ngx_int_t
ngx_wsgi_library_abi(ngx_str_t *text)
{
    u_char     *p, *last, *number;
    ngx_int_t   abi;

    p = text->data;
    last = p + text->len;

    for ( ;; ) {
        p = memmem(p, last - p, NWSGI_MARKER, sizeof(NWSGI_MARKER) - 1);

        if (p == NULL) {
            return NGX_ERROR;
        }

        p += sizeof(NWSGI_MARKER) - 1;
        number = p;

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }

        if (p < last && *p == '\0') {
            abi = ngx_atoi(number, p - number);

            if (abi != NGX_ERROR) {
                return abi;
            }
        }
    }
}


const nwsgi_runtime_t *
ngx_http_wsgi_load_library(ngx_cycle_t *cycle, const nwsgi_host_t *host)
{
    void                   *handle;
    ngx_wsgi_conf_t        *wcf;
    nwsgi_runtime_pt        exchange;
    const nwsgi_runtime_t  *runtime;

    wcf = (ngx_wsgi_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_wsgi_module);

    ngx_wsgi_keep_module(cycle);

    /* RTLD_GLOBAL: C extensions find the symbols of libpython that way */

    handle = dlopen((char *) wcf->library.data, RTLD_NOW|RTLD_GLOBAL);

    if (handle == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "the wsgi library cannot be loaded: %s", dlerror());
        return NULL;
    }

    exchange = (nwsgi_runtime_pt) dlsym(handle, NWSGI_SYMBOL);

    if (exchange == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "the wsgi library cannot be used: %s", dlerror());
        return NULL;
    }

    runtime = exchange(host);

    if (runtime == NULL || runtime->abi != NWSGI_ABI
        || runtime->size != sizeof(nwsgi_runtime_t))
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "the wsgi library \"%V\" is of another version than the "
                      "module", &wcf->library);
        return NULL;
    }

    return runtime;
}


/*
 * nginx unloads its modules at the end of a process, when a thread that could
 * not be ended may still call the host table.
 */

static void
ngx_wsgi_keep_module(ngx_cycle_t *cycle)
{
    Dl_info  info;

    if (dladdr(&ngx_wsgi_module, &info) == 0
        || dlopen(info.dli_fname, RTLD_NOW|RTLD_NOLOAD|RTLD_NODELETE) == NULL)
    {
        ngx_log_debug0(NGX_LOG_DEBUG_CORE, cycle->log, 0,
                       "the wsgi module is part of nginx");
    }
}
