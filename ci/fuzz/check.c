/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: what the parent of a check reads from its pipe, in pieces of any
 * size.  What it logs has a level of nwsgi.h and can be printed, all of it
 * together is bounded, and the verdict is what a second look at the same bytes,
 * all at once, finds.
 *
 * Input: TIMES SIZE BYTES: the bytes come SIZE at a time, and once or, if TIMES
 * is at least f0, again and again
 */

#include "fuzz_nginx.h"

#include "ngx_http_wsgi_verdict.h"


#define FUZZ_TOTAL  (128 * 1024)


static size_t  fuzz_lines;
static size_t  fuzz_size;


const char *const  fuzz_words[] = {
    "\n", "\r\n", "\1\n", "\2\n", "\n\1\n", "\n\2\n", "\n4", "\n8", "\n9",
    "\n0", "\x1b[31m", "\xc2\x85", "\xe2\x80\xa8", "\xed\xa0\x80",
    "\xf0\x9f\x90\x8d", "\xf4\x90\x80\x80", "\xc0\x8a", "\xc3\xa9",
    "0123456789012345678901234567890123456789012345678901234567890123456789",
    NULL
};


static void
fuzz_line(ngx_uint_t level, ngx_log_t *log, const char *format, va_list args)
{
    size_t   len;
    u_char  *text;

    if (level < NWSGI_LOG_EMERG || level > NWSGI_LOG_DEBUG) {
        fuzz_fail("level %zu", (size_t) level);
    }

    fuzz_lines++;

    if (strcmp(format, "wsgi: %*s") != 0) {
        return;
    }

    len = va_arg(args, size_t);
    text = va_arg(args, u_char *);

    fuzz_size += len;

    if (len == 0 || len > NGX_MAX_ERROR_STR / 2) {
        fuzz_fail("a text of %zu bytes", len);
    }

    fuzz_printable(text, len);
}


/* In pieces of any size; the input ends where its memory does. */

static void
fuzz_escape(const uint8_t *p, size_t len, size_t size)
{
    u_char  *text, *end, *last, dst[4 + 255];

    text = (u_char *) p;
    end = text + len;

    while (text < end) {
        last = ngx_http_wsgi_escape(dst, dst + 4 + size, &text, end);

        if (last == dst || last > dst + 4 + size || text > end) {
            fuzz_fail("escape() wrote %zd bytes", last - dst);
        }

        fuzz_printable(dst, last - dst);
    }
}


/* FAILED, if there is such a line; PASSED, if there is one; or 0. */

static u_char
fuzz_verdict(const uint8_t *p, size_t len, size_t times)
{
    size_t  n;
    u_char  found;

    found = 0;

    /* the last line and the first of what is repeated may be one */

    for (n = 0; n < len * ngx_min(times, 2); n++) {

        if (p[n % len] > 2 || p[n % len] == 0
            || (n && p[(n - 1) % len] != '\n')
            || (n + 1 == len * times) || p[(n + 1) % len] != '\n')
        {
            continue;
        }

        if (found != NGX_HTTP_WSGI_CHECK_FAILED) {
            found = p[n % len];
        }
    }

    return found;
}


void
fuzz_init(void)
{
    fuzz_logged = fuzz_line;
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    size_t                    i, n, size, room, times;
    u_char                   *to;
    fuzz_cursor_t             c;
    ngx_http_wsgi_verdict_t  *v;

    c = (fuzz_cursor_t) { p, p + len };
    times = fuzz_byte(&c);
    size = fuzz_byte(&c);

    fuzz_escape(c.pos, c.end - c.pos, size);

    size = size * 16 + 1;
    len = c.end - c.pos;
    times = len == 0 ? 0 : times < 0xf0 ? 1 : FUZZ_TOTAL / len;

    fuzz_begin();
    fuzz_lines = 0;
    fuzz_size = 0;

    v = fuzz_alloc(sizeof(ngx_http_wsgi_verdict_t));
    ngx_http_wsgi_verdict_init(v, fuzz_request.connection->log);

    for (i = 0; i < len * times; i += n) {
        to = ngx_http_wsgi_verdict_room(v, &room);

        if (room == 0 || to < v->line
            || to + room > v->line + NGX_HTTP_WSGI_VERDICT_LINE)
        {
            fuzz_fail("no room to read to");
        }

        for (n = 0; n < room && n < size && i + n < len * times; n++) {
            to[n] = c.pos[(i + n) % len];
        }

        ngx_http_wsgi_verdict_add(v, n);
    }

    ngx_http_wsgi_verdict_end(v);

    if (v->found != fuzz_verdict(c.pos, len, times)) {
        fuzz_fail("verdict %d", v->found);
    }

    if (fuzz_size > 4 * NGX_HTTP_WSGI_VERDICT_BUDGET
        || fuzz_lines > 4 * NGX_HTTP_WSGI_VERDICT_BUDGET
                        / NGX_HTTP_WSGI_VERDICT_PREFIX)
    {
        fuzz_fail("%zu bytes in %zu lines", fuzz_size, fuzz_lines);
    }

    fuzz_end();
}
