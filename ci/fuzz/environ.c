/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Target: from a request block to environ, with the cache of names and values,
 * against a dict that is filled without one.
 *
 * Input: NAME fe VALUE ff NAME fe VALUE ff ...  An odd number of names makes
 * all hashes equal, so that the cache has nothing but collisions.
 */

#include "fuzz_python.h"


#define FUZZ_VARS  64


const char *const  fuzz_words[] = {
    "wsgi.input", "HTTP_HOST", "REQUEST_METHOD", "wsgi.version", "\xff", "\xfe",
    "\xff" "A\xfe", "nginx.queue_start", "SERVER_SOFTWARE", NULL
};


void
fuzz_init(void)
{
    fuzz_python();
}


/* Any will do that does not depend on the run. */

static uint32_t
fuzz_hash(const uint8_t *p, size_t len)
{
    uint32_t  h;

    for (h = 1; len; len--) {
        h = (h ^ *p++) * 0x01000193;
    }

    return h;
}


static void
fuzz_text(nwsgi_block_t *block, nwsgi_str_t *s, uint32_t *used,
    const uint8_t *p, size_t len)
{
    s->off = *used;
    s->len = (uint32_t) len;

    memcpy((uint8_t *) block + *used, p, len);
    *used += (uint32_t) len;
}


/* The block, to its byte; "plain" gets the same entries. */

static nwsgi_block_t *
fuzz_fill(const uint8_t *p, size_t len, PyObject *plain)
{
    size_t          i, n, name_len;
    uint32_t        used;
    PyObject       *key, *value;
    fuzz_cursor_t   c, in;
    const uint8_t  *text, *name;
    nwsgi_block_t  *block;

    c = (fuzz_cursor_t) { p, p + len };

    for (n = 0; n < FUZZ_VARS && c.pos < c.end; n++) {
        (void) fuzz_piece(&c, 0xff, &text);
    }

    len -= (size_t) (c.end - c.pos);

    block = fuzz_block((uint32_t) n, len);
    used = (uint32_t) ((uint8_t *) &block->vars[n] - (uint8_t *) block);

    c = (fuzz_cursor_t) { p, p + len };

    for (i = 0; i < n; i++) {
        in.pos = c.pos;
        in.end = in.pos + fuzz_piece(&c, 0xff, &text);
        name_len = fuzz_piece(&in, 0xfe, &name);

        fuzz_text(block, &block->vars[i].name, &used, name, name_len);
        fuzz_text(block, &block->vars[i].value, &used, in.pos,
                  (size_t) (in.end - in.pos));
        block->vars[i].hash = (n & 1) ? 7 : fuzz_hash(name, name_len);

        key = PyUnicode_DecodeLatin1((const char *) name,
                                     (Py_ssize_t) name_len, NULL);
        value = PyUnicode_DecodeLatin1((const char *) in.pos, in.end - in.pos,
                                       NULL);
        if (key == NULL || value == NULL
            || PyDict_SetItem(plain, key, value) != 0)
        {
            fuzz_raised("the plain dict");
        }

        Py_DECREF(key);
        Py_DECREF(value);
    }

    return block;
}


/* What the callables and wsgi.input replace, whatever the variables say. */

static int
fuzz_is_ours(PyObject *key)
{
    return PyUnicode_CompareWithASCIIString(key, "wsgi.input") == 0
           || PyUnicode_CompareWithASCIIString(key, "nginx.disconnected") == 0
           || PyUnicode_CompareWithASCIIString(key, "nginx.queue_start") == 0;
}


static void
fuzz_compare(PyObject *environ, PyObject *plain)
{
    PyObject    *key, *value, *want;
    Py_ssize_t   pos;

    pos = 0;

    while (PyDict_Next(plain, &pos, &key, &want)) {
        value = PyDict_GetItem(environ, key);

        if (value == NULL) {
            fuzz_fail("a variable is missing");
        }

        if (!fuzz_is_ours(key)
            && PyObject_RichCompareBool(value, want, Py_EQ) != 1)
        {
            fuzz_fail("a variable has another value");
        }
    }

    pos = 0;

    while (PyDict_Next(environ, &pos, &key, &value)) {
        if (!fuzz_is_ours(key)
            && !PyDict_Contains(wsgi.environs[0], key)
            && !PyDict_Contains(plain, key))
        {
            fuzz_fail("a variable that nobody has set");
        }
    }

    if (PyDict_GetItemString(environ, "wsgi.input")
        != (PyObject *) fuzz_thread.input)
    {
        fuzz_fail("wsgi.input is not the request's");
    }
}


void
fuzz_one(const uint8_t *p, size_t len)
{
    PyObject             *environ, *plain;
    nwsgi_block_t        *block;
    static unsigned int   runs;

    plain = PyDict_New();
    block = fuzz_fill(p, len, plain);

    fuzz_bind(block);

    environ = wsgi_environ_new(&fuzz_request);
    if (environ == NULL) {
        fuzz_raised("environ");
    }

    fuzz_compare(environ, plain);

    Py_DECREF(environ);
    Py_DECREF(plain);
    free(block);

    /* from time to time the cache is empty */

    if (++runs % 4096 == 0) {
        wsgi_names_free();
    }
}
