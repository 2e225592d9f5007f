
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The lines that come through the pipe of a check.
 *
 *   '1' to '8'   a level of nwsgi.h; the text follows
 *   \001, \002   alone in its line: the verdict.  One that has failed has
 *                failed, whatever comes after it or came before
 *   else         not of the runtime: the whole line is text
 */


#include "ngx_http_wsgi_verdict.h"


static void ngx_http_wsgi_verdict_lines(ngx_http_wsgi_verdict_t *v,
    size_t n);
static void ngx_http_wsgi_verdict_line(ngx_http_wsgi_verdict_t *v, u_char *p,
    size_t len);
static void ngx_http_wsgi_verdict_text(ngx_http_wsgi_verdict_t *v, u_char *p,
    u_char *last);
static void ngx_http_wsgi_verdict_log(ngx_http_wsgi_verdict_t *v,
    u_char *text, size_t len);


void
ngx_http_wsgi_verdict_init(ngx_http_wsgi_verdict_t *v, ngx_log_t *log)
{
    v->log = log;
    v->budget = NGX_HTTP_WSGI_VERDICT_BUDGET;
    v->level = 0;
    v->len = 0;
    v->found = 0;
}


u_char *
ngx_http_wsgi_verdict_room(ngx_http_wsgi_verdict_t *v, size_t *size)
{
    *size = sizeof(v->line) - v->len;

    return v->line + v->len;
}


void
ngx_http_wsgi_verdict_add(ngx_http_wsgi_verdict_t *v, size_t n)
{
    size_t  piece;

    v->len += n;

    ngx_http_wsgi_verdict_lines(v, n);

    if (v->len < sizeof(v->line)) {
        return;
    }

    /* the next piece has the same level, and is no verdict */

    piece = ngx_http_wsgi_log_piece(v->line, v->len);

    ngx_http_wsgi_verdict_text(v, v->line, v->line + piece);

    v->len -= piece;
    ngx_memmove(v->line, v->line + piece, v->len);
}


void
ngx_http_wsgi_verdict_end(ngx_http_wsgi_verdict_t *v)
{
    ngx_http_wsgi_verdict_text(v, v->line, v->line + v->len);

    v->len = 0;
}


/* Only the last "n" bytes can have the end of a line. */

static void
ngx_http_wsgi_verdict_lines(ngx_http_wsgi_verdict_t *v, size_t n)
{
    u_char  *p, *last, *lf;

    p = v->line;
    last = p + v->len;

    lf = ngx_strlchr(last - n, last, LF);

    while (lf) {
        ngx_http_wsgi_verdict_line(v, p, lf - p);
        v->level = 0;

        p = lf + 1;
        lf = ngx_strlchr(p, last, LF);
    }

    v->len = last - p;

    if (p != v->line) {
        ngx_memmove(v->line, p, v->len);
    }
}


static void
ngx_http_wsgi_verdict_line(ngx_http_wsgi_verdict_t *v, u_char *p, size_t len)
{
    if (len == 1 && v->level == 0
        && (p[0] == NGX_HTTP_WSGI_CHECK_PASSED
            || p[0] == NGX_HTTP_WSGI_CHECK_FAILED))
    {
        if (v->found != NGX_HTTP_WSGI_CHECK_FAILED) {
            v->found = p[0];
        }

        return;
    }

    if (len && p[len - 1] == CR) {
        len--;
    }

    ngx_http_wsgi_verdict_text(v, p, p + len);
}


static void
ngx_http_wsgi_verdict_text(ngx_http_wsgi_verdict_t *v, u_char *p, u_char *last)
{
    size_t   cost;
    u_char  *end, text[NGX_HTTP_WSGI_VERDICT_LINE / 2];

    if (p == last) {
        return;
    }

    cost = last - p + NGX_HTTP_WSGI_VERDICT_PREFIX;

    if (v->level == 0) {
        v->level = NGX_LOG_ERR;

        if (*p >= '0' + NWSGI_LOG_EMERG && *p <= '0' + NWSGI_LOG_DEBUG) {
            v->level = *p++ - '0';
        }
    }

    if (v->budget < cost) {

        if (v->budget) {
            v->budget = 0;

            ngx_log_error(NGX_LOG_ERR, v->log, 0,
                          "wsgi: the import of the applications logs too "
                          "much, the rest is left out (\"wsgi_check\")");
        }

        return;
    }

    v->budget -= cost;

    while (p < last) {
        end = ngx_http_wsgi_escape(text, text + sizeof(text), &p, last);

        ngx_http_wsgi_verdict_log(v, text, end - text);
    }
}


static void
ngx_http_wsgi_verdict_log(ngx_http_wsgi_verdict_t *v, u_char *text, size_t len)
{
    ngx_log_error(v->level, v->log, 0, "wsgi: %*s", len, text);
}
