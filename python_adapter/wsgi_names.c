/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A cache of environ's keys, interned, and of the last value of each.
 *
 * Making a str for every header of every request is most of the price of an
 * environ.  The names are few and the values of a keep-alive or a proxied
 * client repeat, so a slot keeps both; a value that differs replaces the old.
 * Everything here belongs to the GIL.
 */

#include "wsgi_python.h"


#define WSGI_NAMES_SLOTS  1024      /* a power of two */
#define WSGI_NAMES_MAX    512       /* names come from clients: a bound */
#define WSGI_VALUE_MAX    256       /* longer values do not repeat */


typedef struct {
    uint32_t    hash;
    PyObject   *key;
    PyObject   *value;              /* compact latin-1, or NULL */
} wsgi_name_t;


static wsgi_name_t  wsgi_names[WSGI_NAMES_SLOTS];
static uint32_t     wsgi_nnames;


static wsgi_name_t *wsgi_names_find(const uint8_t *p, uint32_t len,
    uint32_t hash);
static int wsgi_names_equal(PyObject *str, const uint8_t *p, uint32_t len);


int
wsgi_names_get(const nwsgi_block_t *block, const nwsgi_var_t *var,
    PyObject **key, PyObject **value)
{
    wsgi_name_t    *name;
    const uint8_t  *p;

    p = nwsgi_data(block, var->name);
    name = wsgi_names_find(p, var->name.len, var->hash);

    if (name) {
        Py_INCREF(name->key);
        *key = name->key;

    } else {
        PyErr_Clear();

        *key = PyUnicode_DecodeLatin1((const char *) p, var->name.len, NULL);
        if (*key == NULL) {
            return -1;
        }
    }

    p = nwsgi_data(block, var->value);

    if (name && name->value
        && wsgi_names_equal(name->value, p, var->value.len))
    {
        Py_INCREF(name->value);
        *value = name->value;
        return 0;
    }

    *value = PyUnicode_DecodeLatin1((const char *) p, var->value.len, NULL);
    if (*value == NULL) {
        Py_DECREF(*key);
        return -1;
    }

    if (name && var->value.len <= WSGI_VALUE_MAX) {
        Py_INCREF(*value);
        Py_XSETREF(name->value, *value);
    }

    return 0;
}


/* The slot of a name, made if there is room; NULL if not, or on an error. */

static wsgi_name_t *
wsgi_names_find(const uint8_t *p, uint32_t len, uint32_t hash)
{
    uint32_t      i;
    PyObject     *key;
    wsgi_name_t  *name;

    for (i = hash; /* void */ ; i++) {
        name = &wsgi_names[i & (WSGI_NAMES_SLOTS - 1)];

        if (name->key == NULL) {
            break;
        }

        if (name->hash == hash && wsgi_names_equal(name->key, p, len)) {
            return name;
        }
    }

    if (wsgi_nnames == WSGI_NAMES_MAX) {
        return NULL;
    }

    key = PyUnicode_DecodeLatin1((const char *) p, len, NULL);
    if (key == NULL) {
        return NULL;
    }

    PyUnicode_InternInPlace(&key);

    name->hash = hash;
    name->key = key;
    wsgi_nnames++;

    return name;
}


static int
wsgi_names_equal(PyObject *str, const uint8_t *p, uint32_t len)
{
    return (Py_ssize_t) len == PyUnicode_GET_LENGTH(str)
           && memcmp(PyUnicode_1BYTE_DATA(str), p, len) == 0;
}


void
wsgi_names_free(void)
{
    uint32_t  i;

    for (i = 0; i < WSGI_NAMES_SLOTS; i++) {
        Py_CLEAR(wsgi_names[i].key);
        Py_CLEAR(wsgi_names[i].value);
    }

    wsgi_nnames = 0;
}
