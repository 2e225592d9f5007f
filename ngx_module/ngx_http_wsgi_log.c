
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What applications and the runtime log, line by line, with the context of the
 * request as long as there is one, and what its block says of it afterwards.
 */


#include "ngx_http_wsgi_module.h"


/* half of NGX_MAX_ERROR_STR: the other half is for nginx's context */

#define NGX_HTTP_WSGI_LOG_LINE  1024


static void ngx_http_wsgi_write_lines(ngx_log_t *log, ngx_uint_t level,
    ngx_str_t *text);
static void ngx_http_wsgi_write_line(ngx_log_t *log, ngx_uint_t level,
    u_char *p, size_t len);
static size_t ngx_http_wsgi_character(u_char lead);
static size_t ngx_http_wsgi_printable(u_char *p, u_char *last);
static u_char *ngx_http_wsgi_log_context(ngx_log_t *log, u_char *buf,
    size_t len);
static nwsgi_str_t ngx_http_wsgi_log_id(const nwsgi_block_t *block);


void
ngx_http_wsgi_write_log(ngx_http_wsgi_message_t *m)
{
    uint32_t              lost;
    ngx_log_t             log;
    ngx_http_request_t   *r;
    ngx_http_wsgi_job_t  *job;

    job = m->serial ? ngx_http_wsgi_find_job(m->serial) : m->job;
    log = *ngx_cycle->log;

    if (job && job->ctx && m->serial == 0) {
        r = job->ctx->request;
        ngx_http_set_log_request(r->connection->log, r);

        log = *r->connection->log;

    } else if (job) {
        ngx_http_wsgi_set_job_log(job, &log);
    }

    /* "while running application" would look like the end of the line */

    log.action = NULL;

    ngx_http_wsgi_write_lines(&log, m->level, &m->body);

    ngx_http_wsgi_log_written(m->body.len);

    lost = ngx_http_wsgi_log_lost();

    if (lost) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "wsgi: %uD log messages were lost, they came faster "
                      "than they could be written, or there was no memory",
                      lost);
    }
}


void
ngx_http_wsgi_set_job_log(ngx_http_wsgi_job_t *job, ngx_log_t *log)
{
    *log = *job->log;

    log->handler = ngx_http_wsgi_log_context;
    log->data = job;
    log->action = NULL;
}


static void
ngx_http_wsgi_write_lines(ngx_log_t *log, ngx_uint_t level, ngx_str_t *text)
{
    u_char  *p, *last, *end;

    p = text->data;
    last = p + text->len;

    while (p < last) {
        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {
            end = last;
        }

        ngx_http_wsgi_write_line(log, level, p, end - p);

        p = end + 1;
    }
}


static void
ngx_http_wsgi_write_line(ngx_log_t *log, ngx_uint_t level, u_char *p,
    size_t len)
{
    size_t  n;

    if (len && p[len - 1] == CR) {
        len--;
    }

    do {
        n = (len > NGX_HTTP_WSGI_LOG_LINE)
                ? ngx_http_wsgi_log_piece(p, NGX_HTTP_WSGI_LOG_LINE) : len;

        if (level == NGX_LOG_DEBUG) {
            ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0, "wsgi: %*s", n, p);

        } else {
            ngx_log_error(level, log, 0, "wsgi: %*s", n, p);
        }

        p += n;
        len -= n;

    } while (len);
}


size_t
ngx_http_wsgi_log_piece(u_char *p, size_t len)
{
    size_t  n;

    for (n = 1; n < 4; n++) {

        if ((p[len - n] & 0xc0) != 0x80) {
            return (ngx_http_wsgi_character(p[len - n]) > n) ? len - n : len;
        }
    }

    return len;
}


/* How many bytes a character of UTF-8 has by its first one; 0: it is none. */

static size_t
ngx_http_wsgi_character(u_char lead)
{
    if (lead < 0x80) {
        return 1;
    }

    if (lead < 0xc0 || lead >= 0xf8) {
        return 0;
    }

    return (lead < 0xe0) ? 2 : (lead < 0xf0) ? 3 : 4;
}


u_char *
ngx_http_wsgi_escape(u_char *dst, u_char *last, u_char **text, u_char *end)
{
    size_t   n;
    u_char  *p;

    static const u_char  hex[] = "0123456789ABCDEF";

    for (p = *text; p < end; p += n) {
        n = ngx_http_wsgi_printable(p, end);

        if ((size_t) (last - dst) < (n ? n : sizeof("\\xHH") - 1)) {
            break;
        }

        if (n) {
            dst = ngx_cpymem(dst, p, n);
            continue;
        }

        *dst++ = '\\';
        *dst++ = 'x';
        *dst++ = hex[*p >> 4];
        *dst++ = hex[*p & 0xf];

        n = 1;
    }

    *text = p;

    return dst;
}


/* How many bytes the character has; 0: it cannot be printed, or is none. */

static size_t
ngx_http_wsgi_printable(u_char *p, u_char *last)
{
    size_t    i, n;
    uint32_t  code;

    static const uint32_t  least[] = { 0, 0, 0xa0, 0x800, 0x10000 };

    if (*p < 0x80) {
        return *p >= 0x20 && *p != 0x7f;
    }

    n = ngx_http_wsgi_character(*p);

    if (n == 0 || (size_t) (last - p) < n) {
        return 0;
    }

    code = *p & (0x7f >> n);

    for (i = 1; i < n; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        code = (code << 6) | (p[i] & 0x3f);
    }

    /* C1 controls are below, as are forms that are too long; 2028 ends lines */

    if (code < least[n] || code > 0x10ffff
        || (code >= 0xd800 && code <= 0xdfff)
        || code == 0x2028 || code == 0x2029)
    {
        return 0;
    }

    return n;
}


/*
 * In the manner of ngx_http_log_error(), for a request that is no more, and for
 * record(), which is to tell which one it was.
 */

static u_char *
ngx_http_wsgi_log_context(ngx_log_t *log, u_char *buf, size_t len)
{
    nwsgi_str_t            id, client, method, uri;
    const nwsgi_block_t   *block;
    ngx_http_wsgi_job_t   *job;

    job = log->data;
    block = job->job.block;

    id = ngx_http_wsgi_log_id(block);
    client = block->client;
    method = block->method;
    uri = block->uri;

    return ngx_snprintf(buf, len,
                        ", client: %*s, request: \"%*s %*s\"%s, id: %*s",
                        (size_t) client.len, nwsgi_data(block, client),
                        (size_t) method.len, nwsgi_data(block, method),
                        (size_t) uri.len, nwsgi_data(block, uri),
                        job->ctx ? "" : " (ended)",
                        (size_t) id.len, nwsgi_data(block, id));
}


/* $request_id, as the application has it. */

static nwsgi_str_t
ngx_http_wsgi_log_id(const nwsgi_block_t *block)
{
    uint32_t     i;
    nwsgi_str_t  name;

    static const nwsgi_str_t  none = { 0, 0 };
    static const ngx_str_t    key = ngx_string("nginx.request_id");

    for (i = 0; i < block->nvars; i++) {
        name = block->vars[i].name;

        if (name.len == key.len
            && ngx_memcmp(nwsgi_data(block, name), key.data, key.len) == 0)
        {
            return block->vars[i].value;
        }
    }

    return none;
}
