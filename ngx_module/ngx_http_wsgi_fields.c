
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


#define NGX_HTTP_WSGI_BUCKETS  64


static void ngx_http_wsgi_collect_field(ngx_http_wsgi_build_t *b,
    ngx_table_elt_t *h, ngx_http_wsgi_field_t **buckets);
static ngx_uint_t ngx_http_wsgi_skip_field(ngx_http_wsgi_build_t *b,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_wsgi_hash_field(ngx_table_elt_t *h, uint32_t *hash);
static ngx_http_wsgi_field_t *ngx_http_wsgi_find_field(
    ngx_http_wsgi_field_t *bucket, ngx_http_wsgi_field_t *f);
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
        host->data = r->main->host_start;
        last = r->request_line.data + r->request_line.len;

        for (p = host->data; p < last; p++) {
            if (*p == '/' || *p == '?' || *p == ' ') {
                break;
            }
        }

        host->len = p - host->data;

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
    ngx_http_wsgi_field_t  *buckets[NGX_HTTP_WSGI_BUCKETS];

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

    ngx_memzero(buckets, sizeof(buckets));

    for (part = &b->request->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ngx_http_wsgi_collect_field(b, &h[i], buckets);
        }
    }

    return NGX_OK;
}


static void
ngx_http_wsgi_collect_field(ngx_http_wsgi_build_t *b, ngx_table_elt_t *h,
    ngx_http_wsgi_field_t **buckets)
{
    ngx_http_wsgi_field_t  *f, *first, **bucket;

    f = &b->fields[b->nfields];

    if (ngx_http_wsgi_skip_field(b, h)
        || ngx_http_wsgi_hash_field(h, &f->hash) != NGX_OK)
    {
        return;
    }

    b->nfields++;

    f->header = h;
    f->more = NULL;
    f->last = f;
    f->repeated = 0;

    bucket = &buckets[f->hash % NGX_HTTP_WSGI_BUCKETS];

    first = ngx_http_wsgi_find_field(*bucket, f);

    if (first) {
        f->repeated = 1;
        first->last->more = f;
        first->last = f;

        b->size += sizeof(", ") - 1 + h->value.len;
        return;
    }

    f->chain = *bucket;
    *bucket = f;

    b->nvars++;
    b->size += sizeof("HTTP_") - 1 + h->key.len + h->value.len;
}


static ngx_uint_t
ngx_http_wsgi_skip_field(ngx_http_wsgi_build_t *b, ngx_table_elt_t *h)
{
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


/* nwsgi_hash() of the entry's name; NGX_DECLINED: the name is not taken. */

static ngx_int_t
ngx_http_wsgi_hash_field(ngx_table_elt_t *h, uint32_t *hash)
{
    u_char     *p, *last, ch;
    uint32_t    key;

    static uint32_t  prefix;

    if (prefix == 0) {
        prefix = nwsgi_hash((u_char *) "HTTP_", sizeof("HTTP_") - 1);
    }

    key = prefix;
    p = h->key.data;
    last = p + h->key.len;

    while (p < last) {
        ch = *p++;

        if (ch == '_') {
            return NGX_DECLINED;
        }

        ch = (ch == '-') ? '_' : ngx_toupper(ch);

        key = (key ^ ch) * 16777619u;
    }

    *hash = key;

    return NGX_OK;
}


static ngx_http_wsgi_field_t *
ngx_http_wsgi_find_field(ngx_http_wsgi_field_t *bucket,
    ngx_http_wsgi_field_t *f)
{
    ngx_str_t  *key;

    key = &f->header->key;

    for ( /* void */ ; bucket; bucket = bucket->chain) {

        if (bucket->hash == f->hash
            && bucket->header->key.len == key->len
            && ngx_strncasecmp(bucket->header->key.data, key->data, key->len)
               == 0)
        {
            return bucket;
        }
    }

    return NULL;
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
        p = ngx_http_wsgi_put(block, &v->value, p, &f->header->value);

        separator = ngx_http_wsgi_is_cookie(f->header) ? ';' : ',';

        for (f = f->more; f; f = f->more) {
            *p++ = separator;
            *p++ = ' ';
            p = ngx_cpymem(p, f->header->value.data, f->header->value.len);
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
