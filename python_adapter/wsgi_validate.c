/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What an application may put into the head of a response.  Everything is
 * checked by length: a NUL ends nothing here.
 */

#include "wsgi_python.h"


/* token characters, RFC 9110 section 5.6.2, as a bitmap of 7-bit ASCII */

static const uint32_t  wsgi_token[4] = {
    0x00000000,
    0x03ff6cfa,     /* ! # $ % & ' * + - . 0-9 */
    0xc7fffffe,     /* A-Z ^ _ */
    0x57ffffff      /* ` a-z | ~ */
};


static int wsgi_validate_clean(const uint8_t *p, size_t len, size_t *bad);


uint32_t
wsgi_validate_status(const uint8_t *p, size_t len)
{
    size_t    i;
    uint32_t  code;

    code = 0;

    for (i = 0; i < 3 && i < len && p[i] >= '0' && p[i] <= '9'; i++) {
        code = code * 10 + (p[i] - '0');
    }

    if (i != 3 || len < 4 || p[3] != ' ') {
        PyErr_SetString(PyExc_ValueError,
                        "the status must be three digits, a space and a "
                        "reason, such as \"200 OK\"");
        return 0;
    }

    if (code < 200) {
        PyErr_Format(PyExc_ValueError,
                     "the status %03u is not that of a final response", code);
        return 0;
    }

    if (!wsgi_validate_clean(p, len, &i) || memchr(p, '\t', len)) {
        PyErr_SetString(PyExc_ValueError,
                        "the status contains a control character");
        return 0;
    }

    return code;
}


int
wsgi_validate_name(const uint8_t *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] > 127 || !(wsgi_token[p[i] >> 5] & (1u << (p[i] & 31)))) {
            PyErr_Format(PyExc_ValueError,
                         "character 0x%02x is not allowed in a header name",
                         p[i]);
            return -1;
        }
    }

    if (len == 0) {
        PyErr_SetString(PyExc_ValueError, "a header name is empty");
        return -1;
    }

    return 0;
}


int
wsgi_validate_value(const uint8_t *name, size_t name_len, const uint8_t *p,
    size_t len)
{
    size_t     bad;
    PyObject  *str;

    if (wsgi_validate_clean(p, len, &bad)) {
        return 0;
    }

    str = PyUnicode_DecodeLatin1((const char *) name, (Py_ssize_t) name_len,
                                 NULL);
    if (str) {
        PyErr_Format(PyExc_ValueError,
                     "the value of header %R contains the control character "
                     "0x%02x", str, p[bad]);
        Py_DECREF(str);
    }

    return -1;
}


/*
 * No control characters but HTAB, RFC 9110 section 5.5.  The common case is
 * one pass without a branch for each character.
 */

static int
wsgi_validate_clean(const uint8_t *p, size_t len, size_t *bad)
{
    size_t    i;
    uint32_t  dirty;

    dirty = 0;

    for (i = 0; i < len; i++) {
        dirty |= (uint32_t) (p[i] < 0x20) & (uint32_t) (p[i] != '\t');
        dirty |= (uint32_t) (p[i] == 0x7f);
    }

    if (!dirty) {
        return 1;
    }

    for (i = 0; p[i] == '\t' || (p[i] >= 0x20 && p[i] != 0x7f); i++) {
        /* void */
    }

    *bad = i;

    return 0;
}


int64_t
wsgi_validate_length(const uint8_t *p, size_t len)
{
    size_t   i;
    int64_t  n;

    n = 0;

    for (i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9' || n > (INT64_MAX - 9) / 10) {
            break;
        }

        n = n * 10 + (p[i] - '0');
    }

    if (len == 0 || i < len) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length must be a decimal number");
        return -1;
    }

    return n;
}


int
wsgi_validate_hop_by_hop(const uint8_t *p, size_t len)
{
    /* by the first letter and the length, to compare one at the most */

    switch ((p[0] | 0x20) << 8 | (len & 0xff)) {

    case 'c' << 8 | 10:
        return wsgi_validate_is(p, len, "connection");

    case 'k' << 8 | 10:
        return wsgi_validate_is(p, len, "keep-alive");

    case 'p' << 8 | 16:
        return wsgi_validate_is(p, len, "proxy-connection");

    case 't' << 8 | 2:
        return wsgi_validate_is(p, len, "te");

    case 't' << 8 | 7:
        return wsgi_validate_is(p, len, "trailer");

    case 't' << 8 | 17:
        return wsgi_validate_is(p, len, "transfer-encoding");

    case 'u' << 8 | 7:
        return wsgi_validate_is(p, len, "upgrade");
    }

    return 0;
}


int
wsgi_validate_is(const uint8_t *p, size_t len, const char *lower)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < len; i++) {
        c = (p[i] >= 'A' && p[i] <= 'Z') ? (p[i] | 0x20) : p[i];

        if (c != (uint8_t) lower[i]) {
            return 0;
        }
    }

    return lower[len] == '\0';
}
