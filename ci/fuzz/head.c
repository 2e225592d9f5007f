/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: the status and the header fields that an application gives to
 * start_response(), against the grammar of RFC 9110 written down once more.
 *
 * Input: STATUS ff NAME fe VALUE ff NAME fe VALUE ff ...
 */

#include "fuzz_python.h"


#define FUZZ_FIELDS  64


typedef struct {
    const uint8_t  *name;
    const uint8_t  *value;
    size_t          name_len;
    size_t          value_len;
} fuzz_field_t;


const char *const  fuzz_words[] = {
    "200 OK", "204 No Content", "304 ", "Content-Length", "content-length",
    "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade", "Content-Type", "\xff", "\xfe", "0", "18",
    "9223372036854775807", "\r\n", NULL
};


void
fuzz_init(void)
{
    fuzz_python();
}


static int
fuzz_clean(const uint8_t *p, size_t len, int tab)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] == 127 || (p[i] < 32 && !(tab && p[i] == 9))) {
            return 0;
        }
    }

    return 1;
}


static int
fuzz_is_token(const uint8_t *p, size_t len)
{
    size_t             i;
    static const char  allowed[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (i = 0; i < len; i++) {
        if (p[i] == 0 || strchr(allowed, p[i]) == NULL) {
            return 0;
        }
    }

    return len > 0;
}


static int
fuzz_named(const fuzz_field_t *f, const char *name)
{
    return f->name_len == strlen(name)
           && strncasecmp((const char *) f->name, name, f->name_len) == 0;
}


static int
fuzz_is_hop(const fuzz_field_t *f)
{
    return fuzz_named(f, "connection") || fuzz_named(f, "keep-alive")
           || fuzz_named(f, "proxy-connection") || fuzz_named(f, "te")
           || fuzz_named(f, "trailer") || fuzz_named(f, "transfer-encoding")
           || fuzz_named(f, "upgrade");
}


/* The number; -1: it is none; -2: so large that either is right. */

static int64_t
fuzz_length(const fuzz_field_t *f)
{
    size_t             i;
    unsigned __int128  n;

    for (n = 0, i = 0; i < f->value_len; i++) {

        if (f->value[i] < '0' || f->value[i] > '9') {
            return -1;
        }

        if (n <= INT64_MAX) {
            n = n * 10 + (f->value[i] - '0');
        }
    }

    if (i == 0 || n > INT64_MAX) {
        return -1;
    }

    return (n > INT64_MAX - 9) ? -2 : (int64_t) n;
}


/* What start_response() has to say: 1, 0, or -1: either is right. */

static int
fuzz_is_right(const uint8_t *status, size_t len, const fuzz_field_t *fields,
    size_t n, int64_t *length)
{
    size_t   i;
    int64_t  value;

    *length = -1;

    if (len < 4 || status[0] < '2' || status[0] > '9' || status[1] < '0'
        || status[1] > '9' || status[2] < '0' || status[2] > '9'
        || status[3] != ' ' || !fuzz_clean(status, len, 0))
    {
        return 0;
    }

    for (i = 0; i < n; i++) {

        if (!fuzz_is_token(fields[i].name, fields[i].name_len)
            || !fuzz_clean(fields[i].value, fields[i].value_len, 1))
        {
            return 0;
        }

        if (!fuzz_named(&fields[i], "content-length")) {
            continue;
        }

        value = fuzz_length(&fields[i]);

        if (value == -2) {
            return -1;
        }

        if (value == -1 || (*length != -1 && *length != value)) {
            return 0;
        }

        *length = value;
    }

    return 1;
}


/* What was taken over is what was given, in its order. */

static void
fuzz_compare(const uint8_t *status, size_t len, const fuzz_field_t *fields,
    size_t n, int64_t length)
{
    size_t                i, j;
    const wsgi_head_t    *head;
    const nwsgi_field_t  *got;

    head = &fuzz_thread.head;

    if (head->code != (uint32_t) ((status[0] - '0') * 100
                                  + (status[1] - '0') * 10 + status[2] - '0')
        || head->reason.off != 4 || head->reason.len != len - 4
        || head->content_length != length)
    {
        fuzz_fail("another status or length");
    }

    for (i = 0, j = 0; i < n; i++) {

        if (fuzz_named(&fields[i], "content-length")
            || fuzz_is_hop(&fields[i]))
        {
            continue;
        }

        got = &head->fields[j++];

        if (j > head->nfields
            || got->name_len != fields[i].name_len
            || got->value_len != fields[i].value_len
            || memcmp(got->name, fields[i].name, got->name_len) != 0
            || memcmp(got->value, fields[i].value, got->value_len) != 0)
        {
            fuzz_fail("field %zu is another", i);
        }
    }

    if (j != head->nfields) {
        fuzz_fail("%u fields, not %zu", head->nfields, j);
    }
}


static PyObject *
fuzz_latin1(const uint8_t *p, size_t len)
{
    return PyUnicode_DecodeLatin1((const char *) p, (Py_ssize_t) len, NULL);
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    int             rc, right;
    size_t          n, status_len;
    int64_t         length;
    PyObject       *status, *headers, *item;
    fuzz_field_t    fields[FUZZ_FIELDS];
    fuzz_cursor_t   c, in;
    const uint8_t  *text, *status_text;
    nwsgi_block_t  *block;

    c = (fuzz_cursor_t) { p, p + len };
    status_len = fuzz_piece(&c, 0xff, &status_text);
    status = fuzz_latin1(status_text, status_len);
    headers = PyList_New(0);

    for (n = 0; n < FUZZ_FIELDS && c.pos < c.end; n++) {
        in.end = c.end;
        in.pos = c.pos;
        in.end = in.pos + fuzz_piece(&c, 0xff, &text);

        fields[n].name_len = fuzz_piece(&in, 0xfe, &fields[n].name);
        fields[n].value = in.pos;
        fields[n].value_len = (size_t) (in.end - in.pos);

        item = Py_BuildValue("(NN)",
                             fuzz_latin1(fields[n].name, fields[n].name_len),
                             fuzz_latin1(fields[n].value, fields[n].value_len));
        if (item == NULL || PyList_Append(headers, item) != 0) {
            fuzz_raised("a field");
        }
        Py_DECREF(item);
    }

    block = fuzz_block(0, 0);
    fuzz_bind(block);

    rc = wsgi_head_set(&fuzz_request, status, headers);
    Py_DECREF(status);
    Py_DECREF(headers);

    right = fuzz_is_right(status_text, status_len, fields, n, &length);

    if (rc != 0 && !PyErr_ExceptionMatches(PyExc_ValueError)) {
        fuzz_raised("it is to be a ValueError");
    }

    PyErr_Clear();

    if (right != -1 && right != (rc == 0)) {
        fuzz_fail("start_response() %s it", rc ? "refuses" : "takes");
    }

    if (rc == 0 && right == 1) {
        fuzz_compare(status_text, status_len, fields, n, length);
    }

    wsgi_head_clear(&fuzz_thread.head);
    free(block);
}
