/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: the request block of a request of which anything may be missing, as
 * nginx leaves it when it could not parse the line or the fields, and when
 * error pages, redirects and subrequests lead to the application.  What PEP
 * 3333 asks for is there, and the block is as large as was computed, to the
 * byte.
 *
 * Input: for each string of the request a byte that says whether it is there,
 * empty, begun and not ended, or NULL, and its text; then bytes for numbers.
 */

#include "fuzz_nginx.h"


#define FUZZ_APP  7


const char *const  fuzz_words[] = {
    "GET", "HEAD", "/", "HTTP/1.1", "http://host:80/path", "host", "*", "?q",
    "\xff", NULL
};


ngx_module_t             ngx_http_core_module;
ngx_http_wsgi_process_t  ngx_http_wsgi_process;


static ngx_http_wsgi_main_conf_t  fuzz_main;
static ngx_http_core_srv_conf_t   fuzz_server;
static ngx_http_core_loc_conf_t   fuzz_location;
static ngx_http_wsgi_app_t        fuzz_app;
static ngx_http_variable_value_t  fuzz_variables[1];
static ngx_http_request_body_t    fuzz_body;
static ngx_buf_t                  fuzz_buf;
static ngx_chain_t                fuzz_chain;
static ngx_table_elt_t            fuzz_host, fuzz_content_type;
static struct sockaddr_in         fuzz_addr;
static void  *fuzz_locs[] = { &fuzz_conf, &fuzz_location };
static void  *fuzz_srvs[] = { NULL, &fuzz_server };
static void  *fuzz_mains[] = { &fuzz_main, NULL };


/* What of nginx and of the module the block is made with. */


ngx_http_wsgi_job_t *
ngx_http_wsgi_create_job(size_t size, ngx_log_t *log)
{
    nwsgi_block_t        *block;
    ngx_http_wsgi_job_t  *job;

    job = fuzz_alloc(sizeof(ngx_http_wsgi_job_t));
    block = fuzz_alloc(size);

    ngx_memzero(job, sizeof(ngx_http_wsgi_job_t));
    ngx_memset(block, 0xa5, size);

    block->body_fd = -1;
    job->size = size;
    job->job.block = block;

    return job;
}


void
ngx_http_wsgi_free_job(ngx_http_wsgi_job_t *job)
{
}


void
ngx_http_wsgi_init_stream(ngx_http_request_t *r, ngx_http_wsgi_job_t *job)
{
}


ngx_str_t *
ngx_http_wsgi_user(ngx_http_request_t *r)
{
    return NULL;
}


ngx_int_t
ngx_http_complex_value(ngx_http_request_t *r, ngx_http_complex_value_t *val,
    ngx_str_t *value)
{
    return NGX_ERROR;
}


ngx_http_variable_value_t *
ngx_http_get_indexed_variable(ngx_http_request_t *r, ngx_uint_t index)
{
    return NULL;
}


u_char *
ngx_http_script_run(ngx_http_request_t *r, ngx_str_t *value,
    void *code_lengths, size_t reserved, void *code_values)
{
    return NULL;
}


u_char *
ngx_hex_dump(u_char *dst, u_char *src, size_t len)
{
    ngx_memset(dst, '0', 2 * len);

    return dst + 2 * len;
}


ngx_int_t
ngx_connection_local_sockaddr(ngx_connection_t *c, ngx_str_t *s,
    ngx_uint_t port)
{
    return NGX_OK;
}


size_t
ngx_sock_ntop(struct sockaddr *sa, socklen_t socklen, u_char *text, size_t len,
    ngx_uint_t port)
{
    ngx_memcpy(text, "127.0.0.1", 9);

    return 9;
}


in_port_t
ngx_inet_get_port(struct sockaddr *sa)
{
    return (sa->sa_family == AF_INET) ? ntohs(((struct sockaddr_in *) sa)->
                                              sin_port)
                                      : 0;
}


void
fuzz_init(void)
{
    ngx_http_core_module.ctx_index = 1;

    ngx_str_set(&fuzz_app.name, "app");
    fuzz_app.index = FUZZ_APP;
}


/* A string of the request, in memory of its own. */

static void
fuzz_string(fuzz_cursor_t *c, ngx_str_t *s)
{
    size_t          len;
    uint8_t         how;
    const uint8_t  *p;

    how = fuzz_byte(c) & 3;
    len = fuzz_piece(c, 0xff, &p);

    ngx_str_null(s);

    if (how == 0) {
        return;
    }

    s->data = fuzz_alloc(len);
    ngx_memcpy(s->data, p, len);

    /* begun: nginx sets where it is when it sees it, and its length later */

    s->len = (how == 1) ? 0 : len;
}


static void
fuzz_line(fuzz_cursor_t *c, ngx_http_request_t *r)
{
    static const ngx_uint_t  versions[] = {
        NGX_HTTP_VERSION_9, NGX_HTTP_VERSION_10, NGX_HTTP_VERSION_11,
        NGX_HTTP_VERSION_20, NGX_HTTP_VERSION_30
    };

    fuzz_string(c, &r->method_name);
    fuzz_string(c, &r->unparsed_uri);
    fuzz_string(c, &r->http_protocol);
    fuzz_string(c, &r->uri);
    fuzz_string(c, &r->args);
    fuzz_string(c, &r->request_line);

    r->http_version = versions[fuzz_byte(c) % 5];
    r->method = (fuzz_byte(c) & 1) ? NGX_HTTP_HEAD : NGX_HTTP_GET;

    /* the host of an absolute URI is a part of the line, or has no end */

    if ((fuzz_byte(c) & 1) && r->request_line.data) {
        r->host_start = r->request_line.data
                        + ngx_min(fuzz_byte(c), r->request_line.len);
        r->host_end = (fuzz_byte(c) & 1)
                      ? r->request_line.data + r->request_line.len : NULL;
    }
}


static void
fuzz_head(fuzz_cursor_t *c, ngx_http_request_t *r)
{
    fuzz_string(c, &r->headers_in.server);
    fuzz_string(c, &fuzz_server.server_name);
    fuzz_string(c, &fuzz_location.root);
    fuzz_string(c, &fuzz_host.value);
    fuzz_string(c, &fuzz_content_type.value);
    fuzz_string(c, &r->connection->addr_text);

    r->headers_in.host = (fuzz_byte(c) & 1) ? &fuzz_host : NULL;
    r->headers_in.content_type = (fuzz_byte(c) & 1) ? &fuzz_content_type
                                                    : NULL;

    fuzz_addr.sin_family = (fuzz_byte(c) & 1) ? AF_UNIX : AF_INET;
    fuzz_addr.sin_port = fuzz_byte(c);

    r->connection->sockaddr = (struct sockaddr *) &fuzz_addr;
    r->connection->local_sockaddr = (struct sockaddr *) &fuzz_addr;
}


/* None, one that did not come to its end, or all of it; in memory. */

static void
fuzz_set_body(fuzz_cursor_t *c, ngx_http_request_t *r)
{
    ngx_str_t  text;

    ngx_memzero(&fuzz_body, sizeof(ngx_http_request_body_t));
    ngx_memzero(&fuzz_buf, sizeof(ngx_buf_t));

    r->headers_in.content_length_n = (off_t) fuzz_byte(c) - 1;
    r->headers_in.chunked = fuzz_byte(c) & 1;

    fuzz_ctx.streamed = fuzz_byte(c) & 1;

    if (fuzz_byte(c) & 1) {
        return;
    }

    fuzz_string(c, &text);

    fuzz_body.rest = (off_t) (fuzz_byte(c) % 3) - 1;
    fuzz_buf.memory = 1;
    fuzz_buf.pos = text.data;
    fuzz_buf.last = text.data ? text.data + text.len : NULL;
    fuzz_chain.buf = &fuzz_buf;

    if (fuzz_byte(c) & 1) {
        fuzz_body.bufs = &fuzz_chain;
    }

    r->request_body = &fuzz_body;
}


static ngx_uint_t
fuzz_has(const nwsgi_block_t *block, const char *name, size_t *len)
{
    uint32_t            i;
    const nwsgi_var_t  *v;

    for (i = 0; i < block->nvars; i++) {
        v = &block->vars[i];

        if (v->name.len == strlen(name)
            && ngx_memcmp(nwsgi_data(block, v->name), name, v->name.len) == 0)
        {
            *len = v->value.len;
            return 1;
        }
    }

    return 0;
}


static void
fuzz_check_str(const nwsgi_block_t *block, nwsgi_str_t s)
{
    if ((uint64_t) s.off + s.len > block->size) {
        fuzz_fail("a text is not in the block");
    }
}


static void
fuzz_check(const nwsgi_block_t *block)
{
    size_t      len;
    uint32_t    i;
    static const char  *there[] = {
        "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI",
        "REMOTE_ADDR"
    };
    static const char  *filled[] = {
        "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
        "wsgi.url_scheme"
    };

    for (i = 0; i < block->nvars; i++) {
        fuzz_check_str(block, block->vars[i].name);
        fuzz_check_str(block, block->vars[i].value);
    }

    fuzz_check_str(block, block->method);
    fuzz_check_str(block, block->uri);
    fuzz_check_str(block, block->client);
    fuzz_check_str(block, block->body);

    for (i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        if (!fuzz_has(block, there[i], &len)) {
            fuzz_fail("%s is missing", there[i]);
        }
    }

    for (i = 0; i < sizeof(filled) / sizeof(filled[0]); i++) {
        if (!fuzz_has(block, filled[i], &len) || len == 0) {
            fuzz_fail("%s is missing or empty", filled[i]);
        }
    }

    if (fuzz_has(block, "HTTP_HOST", &len) && len == 0
        && !fuzz_request.headers_in.host)
    {
        fuzz_fail("HTTP_HOST is there, and empty");
    }

    if (block->app != FUZZ_APP
        || (block->body.len && fuzz_body.rest > 0))
    {
        fuzz_fail("another application, or a part of a body");
    }
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    fuzz_cursor_t         c;
    ngx_http_wsgi_job_t  *job;

    c = (fuzz_cursor_t) { p, p + len };

    fuzz_begin();

    fuzz_request.loc_conf = fuzz_locs;
    fuzz_request.srv_conf = fuzz_srvs;
    fuzz_request.main_conf = fuzz_mains;
    fuzz_request.variables = fuzz_variables;
    ngx_memzero(fuzz_variables, sizeof(fuzz_variables));

    fuzz_conf.pass_headers = fuzz_byte(&c) & 1;
    fuzz_conf.pass_body = fuzz_byte(&c) & 1;
    fuzz_ctx.app = &fuzz_app;
    fuzz_ctx.access = fuzz_byte(&c) & 1;

    fuzz_line(&c, &fuzz_request);
    fuzz_head(&c, &fuzz_request);
    fuzz_set_body(&c, &fuzz_request);

    job = ngx_http_wsgi_create_block(&fuzz_request);

    if (job == NULL) {
        fuzz_fail("there is no block");
    }

    if (job->job.block->size != job->size) {
        fuzz_fail("the size of the block");
    }

    fuzz_check(job->job.block);
    fuzz_end();
}
