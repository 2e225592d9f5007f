/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for nginx.  A program cannot link the sources that Debian's
 * packages do not have; and nginx's own code is not under test here.
 */

#include "fuzz_nginx.h"

#include <locale.h>
#include <wchar.h>


#define FUZZ_ALLOCS  4096


ngx_http_request_t        fuzz_request;
ngx_http_wsgi_loc_conf_t  fuzz_conf;
ngx_http_wsgi_ctx_t       fuzz_ctx;
ngx_module_t              ngx_http_wsgi_module;
volatile ngx_cycle_t     *ngx_cycle;

void (*fuzz_logged)(ngx_uint_t level, ngx_log_t *log, const char *format,
    va_list args);


static void             *fuzz_allocs[FUZZ_ALLOCS];
static size_t            fuzz_nallocs;
static ngx_log_t         fuzz_log;
static ngx_connection_t  fuzz_connection;
static ngx_cycle_t       fuzz_cycle;
static void             *fuzz_confs[] = { &fuzz_conf };
static void             *fuzz_ctxs[] = { &fuzz_ctx };


void
fuzz_begin(void)
{
    ngx_memzero(&fuzz_request, sizeof(ngx_http_request_t));
    ngx_memzero(&fuzz_conf, sizeof(ngx_http_wsgi_loc_conf_t));
    ngx_memzero(&fuzz_ctx, sizeof(ngx_http_wsgi_ctx_t));

    fuzz_log.log_level = NGX_LOG_DEBUG_ALL;
    fuzz_connection.log = &fuzz_log;
    fuzz_cycle.log = &fuzz_log;
    ngx_cycle = &fuzz_cycle;

    fuzz_request.main = &fuzz_request;
    fuzz_request.connection = &fuzz_connection;
    fuzz_request.loc_conf = fuzz_confs;
    fuzz_request.ctx = fuzz_ctxs;
    fuzz_request.method = NGX_HTTP_GET;

    fuzz_request.headers_out.headers.size = sizeof(ngx_table_elt_t);
    fuzz_request.headers_out.headers.last
        = &fuzz_request.headers_out.headers.part;
}


void
fuzz_end(void)
{
    while (fuzz_nallocs) {
        free(fuzz_allocs[--fuzz_nallocs]);
    }
}


void *
fuzz_alloc(size_t size)
{
    if (fuzz_nallocs == FUZZ_ALLOCS) {
        fuzz_fail("too many allocations");
    }

    return fuzz_allocs[fuzz_nallocs++] = malloc(size ? size : 1);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return fuzz_alloc(size);
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return fuzz_alloc(size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    return memset(fuzz_alloc(size), 0, size);
}


void *
ngx_array_push(ngx_array_t *a)
{
    void  *old;

    if (a->nelts == a->nalloc) {
        old = a->elts;
        a->elts = fuzz_alloc(2 * a->nalloc * a->size);
        ngx_memcpy(a->elts, old, a->nalloc * a->size);
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->size * a->nelts++;
}


/* Each element is a part of its own. */

void *
ngx_list_push(ngx_list_t *l)
{
    ngx_list_part_t  *part;

    part = l->last;

    if (part->nelts) {
        part = fuzz_alloc(sizeof(ngx_list_part_t));
        part->next = NULL;
        l->last->next = part;
        l->last = part;
    }

    part->elts = fuzz_alloc(l->size);
    part->nelts = 1;

    return part->elts;
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    return strncasecmp((char *) s1, (char *) s2, n);
}


/* Names that make the hash of a deleted field are not what is looked for. */

ngx_uint_t
ngx_hash_strlow(u_char *dst, u_char *src, size_t n)
{
    ngx_uint_t  key;

    for (key = 1; n--; dst++, src++) {
        *dst = ngx_tolower(*src);
        key = key * 31 + *dst;
    }

    return key ? key : 1;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    for (value = 0; n--; line++) {
        if (*line < '0' || *line > '9' || value > 99999999) {
            return NGX_ERROR;
        }
        value = value * 10 + (*line - '0');
    }

    return value;
}


time_t
ngx_parse_http_time(u_char *value, size_t len)
{
    return len ? value[len - 1] : NGX_ERROR;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    if (fuzz_logged) {
        va_start(args, fmt);
        fuzz_logged(level, log, fmt, args);
        va_end(args);
    }
}


/* By the C library's idea of it. */

void
fuzz_printable(const u_char *p, size_t len)
{
    size_t     n;
    wchar_t    ch;
    mbstate_t  state;
    static locale_t  utf8;

    if (utf8 == NULL) {
        utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
        (void) uselocale(utf8);
    }

    for ( /* void */ ; len; p += n, len -= n) {
        ngx_memzero(&state, sizeof(mbstate_t));

        n = mbrtowc(&ch, (const char *) p, len, &state);

        if (n == 0 || n > len || ch < 0x20 || (ch >= 0x7f && ch < 0xa0)
            || ch == 0x2028 || ch == 0x2029)
        {
            fuzz_fail("byte %02x is logged", *p);
        }
    }
}
