/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: what is logged of the slot of a worker that has died, which may hold
 * anything.  The slot is read within its bounds, each of its entries gives one
 * line at the most, and the lines can be printed.
 *
 * Input: the slot from its "pid" on, as it lies in memory; what is missing is 0
 */

#include "fuzz_nginx.h"

#include "ngx_http_wsgi_zone.h"


#define FUZZ_FLIGHTS  5
#define FUZZ_STAGE    (4 * NGX_HTTP_WSGI_FLIGHT_WHERE + 128)
#define FUZZ_TEXT     (4 * NGX_HTTP_WSGI_FLIGHT_TEXT)


static size_t  fuzz_lines;


const char *const  fuzz_words[] = {
    "\1\0\0\0\0\0\0\0", "\x20\0", "\x05\0", "GET", "127.0.0.1", "\x1b[31m",
    "\xc2\x85", "\xe2\x80\xa8", "\xc3\xa9", NULL
};


uint64_t
ngx_http_wsgi_now(void)
{
    return 1000000;
}


/* As much of it as these lines need: %V, %*s, %s, and numbers. */

static u_char *
fuzz_format(u_char *p, u_char *last, const char *format, va_list args)
{
    int         n;
    size_t      len;
    ngx_str_t  *str;

    while (*format && p < last) {

        if (*format != '%') {
            *p++ = *format++;
            continue;
        }

        format++;
        n = 0;

        if (*format == 'V') {
            str = va_arg(args, ngx_str_t *);
            n = snprintf((char *) p, last - p, "%.*s", (int) str->len,
                         (char *) str->data);
            fuzz_printable(str->data, str->len);

        } else if (ngx_strncmp(format, "*s", 2) == 0) {
            len = va_arg(args, size_t);
            n = snprintf((char *) p, last - p, "%.*s", (int) len,
                         va_arg(args, char *));
            format++;

        } else if (*format == 's') {
            n = snprintf((char *) p, last - p, "%s", va_arg(args, char *));

        } else if (*format == 'P') {
            n = snprintf((char *) p, last - p, "%d", va_arg(args, int));

        } else if (ngx_strncmp(format, "uL", 2) == 0
                   || ngx_strncmp(format, "016xL", 5) == 0)
        {
            n = snprintf((char *) p, last - p, "%llu",
                         (unsigned long long) va_arg(args, uint64_t));
            format += (*format == 'u') ? 1 : 4;

        } else {
            fuzz_fail("a format of nginx's: %s", format);
        }

        format++;

        if (n < 0 || n >= last - p) {
            fuzz_fail("a line is cut");
        }

        p += n;
    }

    return p;
}


u_char *
ngx_slprintf(u_char *buf, u_char *last, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    buf = fuzz_format(buf, last, fmt, args);
    va_end(args);

    return buf;
}


u_char *
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    buf = fuzz_format(buf, buf + max, fmt, args);
    va_end(args);

    return buf;
}


static void
fuzz_line(ngx_uint_t level, ngx_log_t *log, const char *format, va_list args)
{
    u_char  *p, line[2 * (FUZZ_TEXT + FUZZ_STAGE)];

    p = fuzz_format(line, line + sizeof(line), format, args);

    if (log->handler) {
        p = log->handler(log, p, line + sizeof(line) - p);
    }

    fuzz_printable(line, p - line);

    fuzz_lines++;
}


void
fuzz_init(void)
{
    fuzz_logged = fuzz_line;
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    size_t                 size, from;
    ngx_http_wsgi_slot_t  *slot;

    fuzz_begin();
    fuzz_lines = 0;

    size = sizeof(ngx_http_wsgi_slot_t)
           + FUZZ_FLIGHTS * sizeof(ngx_http_wsgi_flight_t);
    from = offsetof(ngx_http_wsgi_slot_t, pid);

    slot = fuzz_alloc(size);
    ngx_memzero(slot, size);
    ngx_memcpy((u_char *) slot + from, p, ngx_min(len, size - from));

    ngx_http_wsgi_report_flights(slot, FUZZ_FLIGHTS);

    if (fuzz_lines > FUZZ_FLIGHTS + 1) {
        fuzz_fail("%zu lines", fuzz_lines);
    }

    fuzz_end();
}
