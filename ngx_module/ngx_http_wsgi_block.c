
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The request block: all that an application may know of a request, copied
 * into one piece of memory that Python threads read when nginx has long gone
 * on.  One pass collects the values and their size, another writes them.
 */


#include "ngx_http_wsgi_block.h"


#define NGX_HTTP_WSGI_MAX_BLOCK  0x7fffffff


static ngx_int_t ngx_http_wsgi_collect_body(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_params(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_fill_block(ngx_http_wsgi_build_t *b,
    nwsgi_block_t *block);
static u_char *ngx_http_wsgi_fill_params(ngx_http_wsgi_build_t *b,
    nwsgi_block_t *block, nwsgi_var_t *var, u_char *p);
static void ngx_http_wsgi_fill_body(ngx_http_wsgi_build_t *b,
    nwsgi_block_t *block, u_char *p);
static ngx_int_t ngx_http_wsgi_open_body(ngx_http_wsgi_build_t *b,
    nwsgi_block_t *block);
static uint64_t ngx_http_wsgi_wall_clock(void);


ngx_http_wsgi_job_t *
ngx_http_wsgi_create_block(ngx_http_request_t *r)
{
    size_t                  size;
    nwsgi_block_t          *block;
    ngx_http_wsgi_job_t    *job;
    ngx_http_wsgi_build_t   b;

    b.request = r;
    b.conf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);
    b.ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);
    b.nvars = 0;
    b.size = 0;

    /* what is hidden from the application is for wsgi_access to check */

    b.pass_body = b.conf->pass_body && !b.ctx->access;
    b.pass_authorization = b.conf->pass_authorization || b.ctx->access;

    if (ngx_http_wsgi_collect_body(&b) != NGX_OK
        || ngx_http_wsgi_collect_params(&b) != NGX_OK
        || ngx_http_wsgi_collect_vars(&b) != NGX_OK
        || ngx_http_wsgi_collect_fields(&b) != NGX_OK)
    {
        return NULL;
    }

    size = sizeof(nwsgi_block_t) + b.nvars * sizeof(nwsgi_var_t) + b.size;

    if (!b.body_in_file && !b.streamed) {
        size += b.body_len;
    }

    if (size > NGX_HTTP_WSGI_MAX_BLOCK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "wsgi: the request is too large for memory, lower "
                      "\"client_body_buffer_size\"");
        return NULL;
    }

    job = ngx_http_wsgi_create_job(size, r->connection->log);
    if (job == NULL) {
        return NULL;
    }

    if (b.streamed) {
        ngx_http_wsgi_init_stream(r, job);
    }

    block = (nwsgi_block_t *) job->job.block;

    block->size = size;

    ngx_http_wsgi_fill_block(&b, block);

    if (b.body_in_file && ngx_http_wsgi_open_body(&b, block) != NGX_OK) {
        ngx_http_wsgi_free_job(job);
        return NULL;
    }

    return job;
}


static ngx_int_t
ngx_http_wsgi_collect_body(ngx_http_wsgi_build_t *b)
{
    ngx_buf_t           *buf;
    ngx_uint_t           n;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = b->request;

    b->body_len = 0;
    b->body_in_file = 0;
    b->streamed = b->ctx->streamed;

    if (b->streamed) {
        b->body_len = r->headers_in.content_length_n;
        return NGX_OK;
    }

    if (!b->pass_body || r->request_body == NULL) {
        return NGX_OK;
    }

    /*
     * the rest did not come: what there is of the body must not be taken for
     * all of it by the application of an error_page
     */

    if (r->request_body->rest > 0) {
        return NGX_OK;
    }

    n = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (buf->in_file) {
            b->body_in_file = 1;
        }

        b->body_len += ngx_buf_size(buf);
        n++;
    }

    /* a body that does not fit in memory is in the file from its first byte */

    if (b->body_in_file
        && (n != 1 || r->request_body->bufs->buf->file_pos != 0))
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "wsgi: the request body is in several places");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wsgi_collect_params(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t              i;
    ngx_str_t              *value;
    ngx_http_wsgi_param_t  *param;

    b->https = 0;

#if (NGX_HTTP_SSL)
    b->https = (b->request->connection->ssl != NULL);
#endif

    if (b->conf->params == NULL) {
        return NGX_OK;
    }

    param = b->conf->params->elts;

    b->params = ngx_palloc(b->request->pool,
                           b->conf->params->nelts * sizeof(ngx_str_t));
    if (b->params == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < b->conf->params->nelts; i++) {
        value = &b->params[i];

        if (ngx_http_complex_value(b->request, &param[i].value, value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (value->len == 0 && param[i].skip_empty) {
            value->data = NULL;
            continue;
        }

        b->nvars++;
        b->size += param[i].name.len + value->len;

        /* as a gateway before us says it, and as PEP 3333 reads it */

        if (param[i].name.len == 5
            && ngx_strncmp(param[i].name.data, "HTTPS", 5) == 0)
        {
            b->https = (value->len == 2
                        && ngx_strncmp(value->data, "on", 2) == 0)
                       || (value->len == 1 && value->data[0] == '1');
        }
    }

    return NGX_OK;
}


static void
ngx_http_wsgi_fill_block(ngx_http_wsgi_build_t *b, nwsgi_block_t *block)
{
    u_char       *p;
    nwsgi_var_t  *var;

    block->flags = (b->request->method == NGX_HTTP_HEAD) ? NWSGI_BLOCK_HEAD
                                                         : 0;

    if (b->ctx->access) {
        block->flags |= NWSGI_BLOCK_ACCESS;
    }

    block->serial = ++ngx_http_wsgi_process.serial;
    block->queued_usec = ngx_http_wsgi_wall_clock();
    block->body_len = (b->body_len == -1) ? NWSGI_UNKNOWN
                                          : (uint64_t) b->body_len;
    block->app = b->ctx->app->index;
    block->nvars = b->nvars;

    var = block->vars;
    p = (u_char *) &block->vars[b->nvars];

    p = ngx_http_wsgi_fill_vars(b, block, &var, p);
    p = ngx_http_wsgi_fill_fields(b, block, &var, p);
    p = ngx_http_wsgi_fill_params(b, block, var, p);

    ngx_http_wsgi_fill_body(b, block, p);
}


static u_char *
ngx_http_wsgi_fill_params(ngx_http_wsgi_build_t *b, nwsgi_block_t *block,
    nwsgi_var_t *var, u_char *p)
{
    ngx_uint_t              i;
    ngx_http_wsgi_param_t  *param;

    if (b->conf->params == NULL) {
        return p;
    }

    param = b->conf->params->elts;

    for (i = 0; i < b->conf->params->nelts; i++) {

        if (b->params[i].len == 0 && param[i].skip_empty) {
            continue;
        }

        p = ngx_http_wsgi_put(block, &var->name, p, &param[i].name);
        p = ngx_http_wsgi_put(block, &var->value, p, &b->params[i]);

        if (param[i].hash == 0) {
            param[i].hash = ngx_http_wsgi_hash(param[i].name.data,
                                               param[i].name.len);
        }

        var->hash = param[i].hash;
        var++;
    }

    return p;
}


static void
ngx_http_wsgi_fill_body(ngx_http_wsgi_build_t *b, nwsgi_block_t *block,
    u_char *p)
{
    ngx_buf_t    *buf;
    ngx_chain_t  *cl;

    block->body.off = p - (u_char *) block;
    block->body.len = 0;

    if (b->streamed) {
        block->flags |= NWSGI_BLOCK_BODY_STREAM;
        return;
    }

    if (b->body_in_file || b->body_len == 0) {
        return;
    }

    block->flags |= NWSGI_BLOCK_BODY_MEMORY;
    block->body.len = b->body_len;

    for (cl = b->request->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (buf->pos < buf->last) {
            p = ngx_cpymem(p, buf->pos, buf->last - buf->pos);
        }
    }
}


/* The job may need the file when nginx has closed it. */

static ngx_int_t
ngx_http_wsgi_open_body(ngx_http_wsgi_build_t *b, nwsgi_block_t *block)
{
    ngx_fd_t             fd;
    ngx_http_request_t  *r;

    r = b->request;
    fd = r->request_body->bufs->buf->file->fd;

    /* nor is nginx's own for the programs that an application starts */

    (void) fcntl(fd, F_SETFD, FD_CLOEXEC);

    block->body_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (block->body_fd == -1) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno,
                      "wsgi: the request body of application \"%V\" cannot "
                      "be kept, fcntl(F_DUPFD_CLOEXEC) failed",
                      &b->ctx->app->name);
        return NGX_ERROR;
    }

    block->flags |= NWSGI_BLOCK_BODY_FILE;

    return NGX_OK;
}


u_char *
ngx_http_wsgi_put(nwsgi_block_t *block, nwsgi_str_t *s, u_char *p,
    ngx_str_t *text)
{
    s->off = p - (u_char *) block;
    s->len = text->len;

    return ngx_cpymem(p, text->data, text->len);
}


static uint64_t
ngx_http_wsgi_wall_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
