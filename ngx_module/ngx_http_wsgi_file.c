
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi.file_wrapper: a file that nginx sends by itself, as it sends its own
 * (ngx_http_static_module).
 */


#include "ngx_http_wsgi_module.h"


static ngx_int_t ngx_http_wsgi_open_direct(ngx_http_request_t *r,
    ngx_file_t *file);


/*
 * The range filter splits what comes in several pieces into one range at most
 * (see single_range in ngx_http_upstream.c).
 */

void
ngx_http_wsgi_allow_ranges(ngx_http_request_t *r, ngx_http_wsgi_message_t *m)
{
    ngx_table_elt_t           *h;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    /* a response that this one stands for, an error page, may have had some */

    r->allow_ranges = 0;

    if (m->status != NGX_HTTP_OK
        || m->content_length == -1
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        return;
    }

    h = r->headers_out.accept_ranges;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (!wlcf->force_ranges) {

        if (!(m->flags & NWSGI_SEND_FILE)) {
            return;
        }

        /* the application knows better */

        if (h && h->value.len == 4
            && ngx_strncasecmp(h->value.data, (u_char *) "none", 4) == 0)
        {
            return;
        }
    }

    /* the range filter writes its own */

    if (h) {
        h->hash = 0;
        r->headers_out.accept_ranges = NULL;
    }

    r->allow_ranges = 1;
    r->single_range = !(m->flags & NWSGI_SEND_LAST);
}


ngx_int_t
ngx_http_wsgi_set_file(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_http_wsgi_message_t *m)
{
    ngx_file_t                *file;
    ngx_http_core_loc_conf_t  *clcf;

    file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (file == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&file->name, "wsgi.file_wrapper");

    file->fd = m->fd;
    file->log = r->connection->log;

    b->file = file;
    b->in_file = 1;
    b->file_pos = m->offset;
    b->file_last = m->offset + m->body.len;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (b->file_last >= clcf->directio) {
        return ngx_http_wsgi_open_direct(r, file);
    }

    return NGX_OK;
}


/*
 * O_DIRECT is a property of the open file, which the application may share
 * with others: nginx needs an open file of its own to set it, and to clear it
 * for what is not aligned.
 */

static ngx_int_t
ngx_http_wsgi_open_direct(ngx_http_request_t *r, ngx_file_t *file)
{
    u_char                    path[sizeof("/proc/self/fd/") + NGX_INT_T_LEN];
    ngx_fd_t                  fd;
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_pool_cleanup_file_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(path, "/proc/self/fd/%D%Z", file->fd);

    fd = ngx_open_file(path, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK|O_CLOEXEC,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_WARN, file->log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed, the file is sent "
                      "without \"directio\"", path);
        return NGX_OK;
    }

    cln->handler = ngx_pool_cleanup_file;
    clnf = cln->data;

    clnf->fd = fd;
    clnf->name = file->name.data;
    clnf->log = r->pool->log;

    if (ngx_directio_on(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_WARN, file->log, ngx_errno,
                      ngx_directio_on_n " failed for a file of "
                      "wsgi.file_wrapper");
        return NGX_OK;
    }

    file->fd = fd;
    file->directio = 1;

    return NGX_OK;
}
