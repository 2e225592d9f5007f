/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: the header fields of a request as entries of the request block, which
 * has to be as large as was computed, to the byte.
 *
 * Input: FLAGS NAME fe VALUE ff NAME fe VALUE ff ...  One of the flags gives
 * all names the same hash, so that they are sorted.
 */

#include "fuzz_nginx.h"


#define FUZZ_FIELDS  64


typedef struct {
    ngx_table_elt_t  *header;
    ngx_uint_t        done;
} fuzz_field_t;


static fuzz_field_t  fuzz_fields[FUZZ_FIELDS];
static ngx_uint_t    fuzz_nfields;
static ngx_uint_t    fuzz_collide;
static ngx_uint_t    fuzz_sorted;


const char *const  fuzz_words[] = {
    "\xff", "\xfe", "Host", "Proxy", "Content-Type", "Content-Length",
    "Transfer-Encoding", "Authorization", "Cookie", "cookie", "COOKIE",
    "X-Forwarded-For", "X_Forwarded_For", "A\xfe", "a\xfe", "\xfe\t", "\t\xff",
    " \t ", NULL
};


void
fuzz_init(void)
{
}


uint32_t __real_ngx_http_wsgi_hash(u_char *p, size_t len);
uint32_t __wrap_ngx_http_wsgi_hash(u_char *p, size_t len);


uint32_t
__wrap_ngx_http_wsgi_hash(u_char *p, size_t len)
{
    return fuzz_collide ? 7 : __real_ngx_http_wsgi_hash(p, len);
}


void __real_qsort(void *base, size_t n, size_t size,
    int (*compare)(const void *, const void *));
void __wrap_qsort(void *base, size_t n, size_t size,
    int (*compare)(const void *, const void *));


void
__wrap_qsort(void *base, size_t n, size_t size,
    int (*compare)(const void *, const void *))
{
    fuzz_sorted = 1;
    __real_qsort(base, n, size, compare);
}


static void
fuzz_push(const uint8_t *name, size_t len, const uint8_t *value, size_t n)
{
    size_t            i;
    ngx_list_t        list;
    ngx_table_elt_t  *h;
    static ngx_list_part_t  *last;

    list.size = sizeof(ngx_table_elt_t);
    list.last = fuzz_nfields ? last : &fuzz_request.headers_in.headers.part;

    h = ngx_list_push(&list);
    last = list.last;

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.len = len;
    h->key.data = fuzz_alloc(len);
    h->lowcase_key = fuzz_alloc(len);
    h->value.len = n;
    h->value.data = fuzz_alloc(n);

    ngx_memcpy(h->key.data, name, len);
    ngx_memcpy(h->value.data, value, n);

    for (i = 0; i < len; i++) {
        h->lowcase_key[i] = ngx_tolower(name[i]);
    }

    fuzz_fields[fuzz_nfields].done = 0;
    fuzz_fields[fuzz_nfields++].header = h;
}


static ngx_uint_t
fuzz_left_out(ngx_http_wsgi_build_t *b, ngx_table_elt_t *h)
{
    ngx_uint_t          i;
    static const char  *names[] = {
        "proxy", "content-type", "content-length", "transfer-encoding", "host",
        "authorization"
    };

    for (i = 0; i < 6; i++) {
        if (h->key.len == strlen(names[i])
            && ngx_memcmp(h->lowcase_key, names[i], h->key.len) == 0)
        {
            return i < 4
                   || (i == 4 && b->values[NGX_HTTP_WSGI_HTTP_HOST].data)
                   || (i == 5 && !b->pass_authorization);
        }
    }

    return ngx_strlchr(h->key.data, h->key.data + h->key.len, '_') != NULL;
}


/* "HTTP_" and the name, as CGI writes it. */

static ngx_uint_t
fuzz_named(ngx_table_elt_t *h, const uint8_t *p, size_t len)
{
    u_char  ch;
    size_t  i;

    if (len != h->key.len + 5 || ngx_memcmp(p, "HTTP_", 5) != 0) {
        return 0;
    }

    for (i = 0; i < h->key.len; i++) {
        ch = h->lowcase_key[i];
        ch = (ch == '-') ? '_'
                         : (ch >= 'a' && ch <= 'z') ? ch & ~0x20 : ch;
        if (p[i + 5] != ch) {
            return 0;
        }
    }

    return 1;
}


/* A value has no blanks at its ends: it is compared from where it begins. */

static ngx_str_t
fuzz_value(ngx_table_elt_t *h)
{
    ngx_str_t  s;

    s = h->value;

    while (s.len && strchr(" \t", s.data[s.len - 1]) && s.data[s.len - 1]) {
        s.len--;
    }

    while (s.len && strchr(" \t", s.data[0]) && s.data[0]) {
        s.data++;
        s.len--;
    }

    return s;
}


/* All fields of the entry's name, joined, and of no other. */

static void
fuzz_entry(ngx_http_wsgi_build_t *b, nwsgi_block_t *block, nwsgi_var_t *v)
{
    size_t            at;
    ngx_str_t         value;
    ngx_uint_t        i, first;
    const char       *separator;
    const uint8_t    *p;
    ngx_table_elt_t  *h;

    p = nwsgi_data(block, v->value);
    first = 1;
    at = 0;

    for (i = 0; i < fuzz_nfields; i++) {
        h = fuzz_fields[i].header;

        if (fuzz_left_out(b, h)
            || !fuzz_named(h, nwsgi_data(block, v->name), v->name.len))
        {
            continue;
        }

        if (fuzz_fields[i].done++) {
            fuzz_fail("a name has two entries");
        }

        separator = (h->key.len == 6
                     && ngx_memcmp(h->lowcase_key, "cookie", 6) == 0)
                    ? "; " : ", ";

        if (!first) {
            if (at + 2 > v->value.len
                || ngx_memcmp(p + at, separator, 2) != 0)
            {
                fuzz_fail("not joined");
            }
            at += 2;
        }

        value = fuzz_value(h);

        if (at + value.len > v->value.len
            || ngx_memcmp(p + at, value.data, value.len) != 0)
        {
            fuzz_fail("another value");
        }

        if (v->hash != ngx_http_wsgi_hash(h->lowcase_key, h->key.len)) {
            fuzz_fail("another hash");
        }

        at += value.len;
        first = 0;
    }

    if (first || at != v->value.len) {
        fuzz_fail("an entry of no field, or more than its value");
    }
}


static void
fuzz_build(ngx_http_wsgi_build_t *b)
{
    u_char         *end;
    size_t          size;
    ngx_uint_t      i;
    nwsgi_var_t    *var;
    nwsgi_block_t  *block;

    fuzz_sorted = 0;

    if (ngx_http_wsgi_collect_fields(b) != NGX_OK) {
        fuzz_fail("collect_fields");
    }

    /* each name was compared with all before it, or they were sorted */

    if (fuzz_collide && !fuzz_sorted
        && b->nvars * (b->nvars - 1) / 2 > 8 * b->nfields)
    {
        fuzz_fail("names that collide cost quadratic time");
    }

    size = offsetof(nwsgi_block_t, vars) + b->nvars * sizeof(nwsgi_var_t)
           + b->size;
    block = fuzz_alloc(size);
    var = block->vars;

    end = ngx_http_wsgi_fill_fields(b, block, &var,
                                    (u_char *) &block->vars[b->nvars]);

    if (end != (u_char *) block + size || var != &block->vars[b->nvars]) {
        fuzz_fail("the block is not as large as was computed");
    }

    for (i = 0; i < b->nvars; i++) {
        fuzz_entry(b, block, &block->vars[i]);
    }

    for (i = 0; i < fuzz_nfields; i++) {
        if (!fuzz_fields[i].done && !fuzz_left_out(b, fuzz_fields[i].header)) {
            fuzz_fail("field %zu is missing", (size_t) i);
        }
    }
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    size_t                  n;
    uint8_t                 flags;
    fuzz_cursor_t           c, in;
    const uint8_t          *text;
    ngx_http_wsgi_build_t   b;

    c = (fuzz_cursor_t) { p, p + len };
    flags = fuzz_byte(&c);

    fuzz_begin();
    fuzz_nfields = 0;

    while (c.pos < c.end && fuzz_nfields < FUZZ_FIELDS) {
        in.pos = c.pos;
        in.end = in.pos + fuzz_piece(&c, 0xff, &text);
        n = fuzz_piece(&in, 0xfe, &text);

        if (n) {
            fuzz_push(text, n, in.pos, in.end - in.pos);
        }
    }

    ngx_memzero(&b, sizeof(b));
    b.request = &fuzz_request;
    b.conf = &fuzz_conf;
    b.ctx = &fuzz_ctx;
    fuzz_conf.pass_headers = 1;
    b.pass_authorization = flags & 1;
    fuzz_collide = flags & 4;

    if (flags & 2) {
        b.values[NGX_HTTP_WSGI_HTTP_HOST].data = (u_char *) "host";
    }

    fuzz_build(&b);
    fuzz_end();
}
