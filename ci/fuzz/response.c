/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: what the module makes of the status line and the fields of a
 * response, its table of header fields.  What goes to the client has to be what
 * the application gave, once, in order; what nginx's filters read has to lie
 * within it, and to end with a NUL, as what nginx's own parsers make.
 *
 * Input: two bytes of the status, REASON ff NAME fe VALUE ff ...
 */

#include "fuzz_nginx.h"


#define FUZZ_FIELDS  64


static ngx_keyval_t  fuzz_given[FUZZ_FIELDS];


const char *const  fuzz_words[] = {
    "\xff", "\xfe", "Content-Type", "text/html; charset=", "\"utf-8\"",
    "Content-Encoding", "Content-Range", "Set-Cookie", "Date", "Server",
    "Location", "/here", "Refresh", "Last-Modified", "ETag", "Expires",
    "Accept-Ranges", "WWW-Authenticate", "Cache-Control", "Link",
    "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset", "no", "yes",
    "X-Accel-Expires", "X-Accel-Redirect",
    "Content-Disposition", " ", NULL
};


void
fuzz_init(void)
{
}


/* One is hidden, so that the branch is taken. */

ngx_uint_t
ngx_http_wsgi_is_hidden(ngx_http_wsgi_loc_conf_t *wlcf, ngx_str_t *name)
{
    return name->len == sizeof("Date") - 1
           && ngx_strncasecmp(name->data, (u_char *) "Date", 4) == 0;
}


/* Space around a value is not part of it. */

static void
fuzz_trim(ngx_str_t *value)
{
    for ( /* void */ ; value->len && *value->data == ' '; value->len--) {
        value->data++;
    }

    while (value->len && value->data[value->len - 1] == ' ') {
        value->len--;
    }
}


/* As the host builds it: one piece of memory, in order (_host.c). */

static ngx_uint_t
fuzz_message(ngx_http_wsgi_message_t *m, fuzz_cursor_t *c)
{
    u_char         *p;
    ngx_uint_t      n;
    fuzz_cursor_t   in;
    const uint8_t  *text;

    ngx_memzero(m, sizeof(ngx_http_wsgi_message_t));

    m->status = 100 + (fuzz_byte(c) << 8 | fuzz_byte(c)) % 900;
    m->reason.len = fuzz_piece(c, 0xff, &text);
    m->reason.data = (u_char *) text;
    m->content_length = -1;
    m->fields = fuzz_alloc(FUZZ_FIELDS * sizeof(ngx_keyval_t));

    p = fuzz_alloc(c->end - c->pos);

    for (n = 0; n < FUZZ_FIELDS && c->pos < c->end; n++) {
        in.pos = c->pos;
        in.end = in.pos + fuzz_piece(c, 0xff, &text);

        m->fields[n].key.data = p;
        m->fields[n].key.len = fuzz_piece(&in, 0xfe, &text);
        p = ngx_cpymem(p, text, m->fields[n].key.len);

        m->fields[n].value.data = p;
        m->fields[n].value.len = in.end - in.pos;
        p = ngx_cpymem(p, in.pos, m->fields[n].value.len);

        fuzz_given[n] = m->fields[n];
        fuzz_trim(&fuzz_given[n].value);
    }

    m->nfields = n;

    return n;
}


/* Reads as far as a filter may: AddressSanitizer knows the end of it. */

static void
fuzz_terminated(ngx_str_t *text, const char *what)
{
    if (text->data[text->len] != '\0') {
        fuzz_fail("no NUL behind a %s", what);
    }
}


/* As nginx's parsers make it. */

static void
fuzz_complete(ngx_table_elt_t *h)
{
    u_char  *lowcase;

    fuzz_terminated(&h->key, "name");
    fuzz_terminated(&h->value, "value");

    lowcase = fuzz_alloc(h->key.len);

    if (h->hash != ngx_hash_strlow(lowcase, h->key.data, h->key.len)
        || ngx_memcmp(h->lowcase_key, lowcase, h->key.len) != 0)
    {
        fuzz_fail("another hash, or name in lower case");
    }
}


static ngx_uint_t
fuzz_is(ngx_str_t *name, const char *what)
{
    return name->len == strlen(what)
           && ngx_strncasecmp(name->data, (u_char *) what, name->len) == 0;
}


static ngx_uint_t
fuzz_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* Of these, nginx and clients know one in a response. */

static ngx_uint_t
fuzz_is_single(ngx_str_t *name)
{
    ngx_uint_t          i;
    static const char  *names[] = {
        "Content-Type", "Content-Encoding", "Content-Range", "Date", "Server",
        "Location", "Refresh", "Last-Modified", "ETag", "Expires",
        "Accept-Ranges", "X-Accel-Expires", "X-Accel-Redirect",
        "X-Accel-Limit-Rate"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (fuzz_is(name, names[i])) {
            return 1;
        }
    }

    return 0;
}


/* The field is to be among the lines. */

static ngx_uint_t
fuzz_expected(ngx_uint_t n)
{
    ngx_uint_t   i;
    ngx_str_t   *name;

    name = &fuzz_given[n].key;

    /* nginx's filter writes the type, Date is hidden, X-Accel is shown */

    if (fuzz_is(name, "Content-Type") || fuzz_is(name, "Date")) {
        return 0;
    }

    for (i = 0; i < n && fuzz_is_single(name); i++) {
        if (fuzz_given[i].key.len == name->len
            && ngx_strncasecmp(fuzz_given[i].key.data, name->data, name->len)
               == 0)
        {
            return 0;
        }
    }

    return 1;
}


static void
fuzz_lines(ngx_uint_t n)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;
    ngx_list_part_t  *part;

    part = &fuzz_request.headers_out.headers.part;

    if (part->nelts == 0) {
        part = NULL;
    }

    for (i = 0; i < n; i++) {

        if (!fuzz_expected(i)) {
            continue;
        }

        if (part == NULL) {
            fuzz_fail("field %zu is not sent", (size_t) i);
        }

        h = part->elts;
        part = part->next;

        if (h->hash == 0 || !fuzz_same(&h->key, &fuzz_given[i].key)
            || !fuzz_same(&h->value, &fuzz_given[i].value))
        {
            fuzz_fail("field %zu is sent as another", (size_t) i);
        }

        fuzz_complete(h);
    }

    if (part) {
        fuzz_fail("a field is sent that nobody gave");
    }
}


/* What is in the range of the first Content-Type's value, for the filters. */

static void
fuzz_type(ngx_uint_t n)
{
    ngx_str_t               *type, *charset;
    ngx_uint_t               i;
    ngx_http_headers_out_t  *out;

    out = &fuzz_request.headers_out;
    type = &out->content_type;
    charset = &out->charset;

    for (i = 0; i < n && !fuzz_is(&fuzz_given[i].key, "Content-Type"); i++) {
        /* void */
    }

    if (i == n) {
        if (type->data || charset->data) {
            fuzz_fail("a type that nobody gave");
        }
        return;
    }

    if (!fuzz_same(type, &fuzz_given[i].value)
        || out->content_type_len > type->len)
    {
        fuzz_fail("another Content-Type");
    }

    fuzz_terminated(type, "Content-Type");

    if (charset->data
        && (charset->data < type->data + out->content_type_len
            || charset->data + charset->len > type->data + type->len))
    {
        fuzz_fail("a charset from elsewhere");
    }
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    char                      code[16];
    ngx_str_t                *line;
    ngx_uint_t                n;
    fuzz_cursor_t             c;
    ngx_http_wsgi_message_t   m;

    c = (fuzz_cursor_t) { p, p + len };

    fuzz_begin();
    n = fuzz_message(&m, &c);

    fuzz_ctx.request = &fuzz_request;
    fuzz_ctx.nfields = m.nfields;

    if (ngx_http_wsgi_copy_fields(&fuzz_request, &m, &fuzz_ctx.fields) != NGX_OK
        || ngx_http_wsgi_set_head(&fuzz_ctx, &m) != NGX_OK)
    {
        fuzz_fail("the head is refused");
    }

    line = &fuzz_request.headers_out.status_line;
    (void) snprintf(code, sizeof(code), "%u ", m.status);

    if (m.reason.len
        && (line->len != m.reason.len + 4
            || ngx_memcmp(line->data, code, 4) != 0
            || ngx_memcmp(line->data + 4, m.reason.data, m.reason.len) != 0))
    {
        fuzz_fail("another status line");
    }

    fuzz_lines(n);
    fuzz_type(n);
    fuzz_end();
}
