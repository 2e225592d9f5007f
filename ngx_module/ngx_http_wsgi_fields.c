
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The header fields of a request as HTTP_* entries.
 *
 * Fields of one name become one entry, joined as RFC 9110 5.3 says.  Left out:
 *
 *   - Content-Type and Content-Length, which have entries of their own;
 *   - Transfer-Encoding, since nginx has decoded the body;
 *   - Host, when the request line has an absolute URI;
 *   - Proxy, which CGI would turn into the variable HTTP_PROXY ("httpoxy");
 *   - names with "_", also with underscores_in_headers: nobody could tell them
 *     from names with "-", which clients may not be able to forge.
 */


#include "ngx_http_wsgi_block.h"


/* that many need no memory of the request's pool */

#define NGX_HTTP_WSGI_BUCKETS  64

/*
 * How many names may be compared for one field, on the average.  It is about
 * one; more would take a client who knows the worker's key.
 */

#define NGX_HTTP_WSGI_STEPS  8


static void ngx_http_wsgi_take_field(ngx_http_wsgi_build_t *b,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_wsgi_skip_field(ngx_http_wsgi_build_t *b,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_wsgi_join_fields(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_join_sorted(ngx_http_wsgi_build_t *b);
static int ngx_libc_cdecl ngx_http_wsgi_compare_fields(const void *one,
    const void *two);
static ngx_uint_t ngx_http_wsgi_same_name(ngx_http_wsgi_field_t *one,
    ngx_http_wsgi_field_t *two);
static void ngx_http_wsgi_repeat_field(ngx_http_wsgi_field_t *first,
    ngx_http_wsgi_field_t *f);
static u_char *ngx_http_wsgi_put_name(nwsgi_block_t *block, nwsgi_str_t *s,
    u_char *p, ngx_str_t *name);
static ngx_uint_t ngx_http_wsgi_is_cookie(ngx_table_elt_t *h);


/*
 * RFC 9112 3.2.2: with an absolute URI, what the field says is to be ignored.
 * nginx has chosen the server by the URI; an application that was told another
 * name would believe one that no "server_name" allows.  HTTP/3 may have no
 * field, only ":authority".
 */

void
ngx_http_wsgi_collect_host(ngx_http_wsgi_build_t *b)
{
    u_char              *p, *last;
    ngx_str_t           *host;
    ngx_http_request_t  *r;

    r = b->request;

    if (!b->conf->pass_headers) {
        return;
    }

    /* there is none, or it is empty, or nginx could not parse so far */

    if (r->main->host_end <= r->main->host_start
        || r->request_line.len == 0)
    {
        return;
    }

    host = &b->values[NGX_HTTP_WSGI_HTTP_HOST];

    if (r->http_version < NGX_HTTP_VERSION_20) {
        last = r->request_line.data + r->request_line.len;

        for (p = r->main->host_start; p < last; p++) {
            if (*p == '/' || *p == '?' || *p == ' ') {
                break;
            }
        }

        if (p > r->main->host_start) {
            host->data = r->main->host_start;
            host->len = p - host->data;
        }

    } else if (r->headers_in.host == NULL) {
        host->data = r->main->host_start;
        host->len = r->main->host_end - r->main->host_start;
    }
}


ngx_int_t
ngx_http_wsgi_collect_fields(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t              i, n;
    ngx_list_part_t        *part;
    ngx_table_elt_t        *h;
    ngx_http_wsgi_field_t  *f;

    b->nfields = 0;

    if (!b->conf->pass_headers) {
        return NGX_OK;
    }

    for (n = 0, part = &b->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        n += part->nelts;
    }

    b->fields = ngx_palloc(b->request->pool,
                           n * sizeof(ngx_http_wsgi_field_t) + 1);
    if (b->fields == NULL) {
        return NGX_ERROR;
    }

    for (part = &b->request->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ngx_http_wsgi_take_field(b, &h[i]);
        }
    }

    if (ngx_http_wsgi_join_fields(b) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < b->nfields; i++) {
        f = &b->fields[i];

        b->size += f->value.len;

        if (f->repeated) {
            b->size += sizeof(", ") - 1;

        } else {
            b->nvars++;
            b->size += sizeof("HTTP_") - 1 + f->header->key.len;
        }
    }

    return NGX_OK;
}


static void
ngx_http_wsgi_take_field(ngx_http_wsgi_build_t *b, ngx_table_elt_t *h)
{
    ngx_http_wsgi_field_t  *f;

    if (ngx_http_wsgi_skip_field(b, h)) {
        return;
    }

    f = &b->fields[b->nfields++];

    f->header = h;
    f->value = h->value;
    f->more = NULL;
    f->last = f;
    f->repeated = 0;

    ngx_http_wsgi_trim(&f->value);

    /* names without "_" differ in lower case if they do as "HTTP_..." */

    f->hash = ngx_http_wsgi_hash(h->lowcase_key, h->key.len);
}


/* RFC 9110 5.5.  nginx takes spaces away, of HTTP/1, but not tabs. */

void
ngx_http_wsgi_trim(ngx_str_t *value)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last && (*(last - 1) == ' ' || *(last - 1) == '\t')) {
        last--;
    }

    value->data = p;
    value->len = last - p;
}


static ngx_uint_t
ngx_http_wsgi_skip_field(ngx_http_wsgi_build_t *b, ngx_table_elt_t *h)
{
    if (memchr(h->lowcase_key, '_', h->key.len)) {
        return 1;
    }

    switch (h->key.len) {

    case sizeof("host") - 1:
        return b->values[NGX_HTTP_WSGI_HTTP_HOST].data
               && ngx_memcmp(h->lowcase_key, "host", sizeof("host") - 1) == 0;

    case sizeof("proxy") - 1:
        return ngx_memcmp(h->lowcase_key, "proxy", sizeof("proxy") - 1) == 0;

    case sizeof("content-type") - 1:
        return ngx_memcmp(h->lowcase_key, "content-type",
                          sizeof("content-type") - 1) == 0;

    case sizeof("content-length") - 1:
        return ngx_memcmp(h->lowcase_key, "content-length",
                          sizeof("content-length") - 1) == 0;

    case sizeof("transfer-encoding") - 1:
        return ngx_memcmp(h->lowcase_key, "transfer-encoding",
                          sizeof("transfer-encoding") - 1) == 0;

    case sizeof("authorization") - 1:
        return !b->pass_authorization
               && ngx_memcmp(h->lowcase_key, "authorization",
                             sizeof("authorization") - 1) == 0;
    }

    return 0;
}


/*
 * Fields of one name become a list.  With a table of names, that takes about as
 * many steps as there are fields; if not, somebody has chosen the names, and
 * sorting them takes no more steps for those than for others.
 */

static ngx_int_t
ngx_http_wsgi_join_fields(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t              i, n, steps;
    ngx_http_wsgi_field_t  *f, *first, **bucket, **buckets;
    ngx_http_wsgi_field_t  *few[NGX_HTTP_WSGI_BUCKETS];

    for (n = 8; n < b->nfields; n *= 2) { /* void */ }

    if (n <= NGX_HTTP_WSGI_BUCKETS) {
        buckets = few;
        ngx_memzero(buckets, n * sizeof(ngx_http_wsgi_field_t *));

    } else {
        buckets = ngx_pcalloc(b->request->pool,
                              n * sizeof(ngx_http_wsgi_field_t *));
        if (buckets == NULL) {
            return NGX_ERROR;
        }
    }

    steps = b->nfields * NGX_HTTP_WSGI_STEPS;

    for (i = 0; i < b->nfields; i++) {
        f = &b->fields[i];
        bucket = &buckets[f->hash & (n - 1)];

        for (first = *bucket; first; first = first->chain) {

            if (steps-- == 0) {
                return ngx_http_wsgi_join_sorted(b);
            }

            if (ngx_http_wsgi_same_name(first, f)) {
                break;
            }
        }

        if (first) {
            ngx_http_wsgi_repeat_field(first, f);

        } else {
            f->chain = *bucket;
            *bucket = f;
        }
    }

    return NGX_OK;
}


/* As ngx_http_wsgi_join_fields(), with what that has done undone. */

static ngx_int_t
ngx_http_wsgi_join_sorted(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t              i;
    ngx_http_wsgi_field_t  *f, *first, **sorted;

    sorted = ngx_palloc(b->request->pool,
                        b->nfields * sizeof(ngx_http_wsgi_field_t *));
    if (sorted == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < b->nfields; i++) {
        f = &b->fields[i];

        f->more = NULL;
        f->last = f;
        f->repeated = 0;

        sorted[i] = f;
    }

    ngx_qsort(sorted, b->nfields, sizeof(ngx_http_wsgi_field_t *),
              ngx_http_wsgi_compare_fields);

    first = sorted[0];

    for (i = 1; i < b->nfields; i++) {

        if (ngx_http_wsgi_same_name(first, sorted[i])) {
            ngx_http_wsgi_repeat_field(first, sorted[i]);

        } else {
            first = sorted[i];
        }
    }

    return NGX_OK;
}


/* Those of one name keep their order, which is that of b->fields. */

static int ngx_libc_cdecl
ngx_http_wsgi_compare_fields(const void *one, const void *two)
{
    ngx_int_t               rc;
    ngx_http_wsgi_field_t  *first, *second;

    first = *(ngx_http_wsgi_field_t **) one;
    second = *(ngx_http_wsgi_field_t **) two;

    if (first->header->key.len != second->header->key.len) {
        return first->header->key.len < second->header->key.len ? -1 : 1;
    }

    rc = ngx_memcmp(first->header->lowcase_key, second->header->lowcase_key,
                    first->header->key.len);

    if (rc != 0) {
        return (int) rc;
    }

    return (first > second) - (first < second);
}


static ngx_uint_t
ngx_http_wsgi_same_name(ngx_http_wsgi_field_t *one,
    ngx_http_wsgi_field_t *two)
{
    return one->hash == two->hash
           && one->header->key.len == two->header->key.len
           && ngx_memcmp(one->header->lowcase_key, two->header->lowcase_key,
                         one->header->key.len)
              == 0;
}


static void
ngx_http_wsgi_repeat_field(ngx_http_wsgi_field_t *first,
    ngx_http_wsgi_field_t *f)
{
    f->repeated = 1;

    first->last->more = f;
    first->last = f;
}


u_char *
ngx_http_wsgi_fill_fields(ngx_http_wsgi_build_t *b, nwsgi_block_t *block,
    nwsgi_var_t **var, u_char *p)
{
    u_char                  separator;
    ngx_uint_t              i;
    nwsgi_var_t            *v;
    ngx_http_wsgi_field_t  *f;

    for (i = 0; i < b->nfields; i++) {
        f = &b->fields[i];

        if (f->repeated) {
            continue;
        }

        v = (*var)++;

        v->hash = f->hash;

        p = ngx_http_wsgi_put_name(block, &v->name, p, &f->header->key);
        p = ngx_http_wsgi_put(block, &v->value, p, &f->value);

        separator = ngx_http_wsgi_is_cookie(f->header) ? ';' : ',';

        for (f = f->more; f; f = f->more) {
            *p++ = separator;
            *p++ = ' ';
            p = ngx_cpymem(p, f->value.data, f->value.len);
        }

        v->value.len = p - (u_char *) block - v->value.off;
    }

    return p;
}


static u_char *
ngx_http_wsgi_put_name(nwsgi_block_t *block, nwsgi_str_t *s, u_char *p,
    ngx_str_t *name)
{
    u_char   ch;
    size_t   i;

    s->off = p - (u_char *) block;
    s->len = sizeof("HTTP_") - 1 + name->len;

    p = ngx_cpymem(p, "HTTP_", sizeof("HTTP_") - 1);

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];
        *p++ = (ch == '-') ? '_' : ngx_toupper(ch);
    }

    return p;
}


static ngx_uint_t
ngx_http_wsgi_is_cookie(ngx_table_elt_t *h)
{
    return h->key.len == sizeof("cookie") - 1
           && ngx_memcmp(h->lowcase_key, "cookie", sizeof("cookie") - 1) == 0;
}
