/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A cache of environ's keys, interned, and of the last value of each.
 *
 * Making a str for every header of every request is most of the price of an
 * environ.  The names are few and the values of a keep-alive or a proxied
 * client repeat, so an entry keeps both; a value that differs replaces the old.
 *
 * Clients may send any names, so there are bounds: to the number of entries, to
 * what each keeps, and to how many are looked at.  A name has one set, and the
 * set a hand, as a clock has: a new name takes the place of the next one that
 * was not used since the hand passed it.  Names that come once make room for
 * each other, those of ordinary requests stay, or are back at their next use.
 *
 * Everything here belongs to the GIL.
 */

#include "wsgi_python.h"


#define WSGI_NAMES_SETS    128      /* a power of two */
#define WSGI_NAMES_WAYS    8        /* entries of a set */
#define WSGI_NAME_MAX      128      /* longer names are no ordinary ones */
#define WSGI_VALUE_MAX     256      /* longer values do not repeat */

/* An interned str may live as long as the interpreter: CPython 3.12. */
#define WSGI_INTERNED_MAX  512


typedef struct {
    uint32_t      hash;
    uint8_t       used;             /* since the hand has passed */
    uint8_t       interned;
    PyObject     *key;              /* NULL: the entry is free */
    PyObject     *value;            /* compact latin-1, or NULL */
} wsgi_name_t;


typedef struct {
    wsgi_name_t   names[WSGI_NAMES_WAYS];
    uint32_t      hand;
} wsgi_names_set_t;


static wsgi_names_set_t  wsgi_names[WSGI_NAMES_SETS];
static uint32_t          wsgi_ninterned;


static wsgi_name_t *wsgi_names_find(const uint8_t *p, uint32_t len,
    uint32_t hash);
static void wsgi_names_use(wsgi_name_t *name);
static wsgi_name_t *wsgi_names_replace(wsgi_names_set_t *set);
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


/* The entry of a name, or NULL: it is to have none, or there was an error. */

static wsgi_name_t *
wsgi_names_find(const uint8_t *p, uint32_t len, uint32_t hash)
{
    PyObject          *key;
    wsgi_name_t       *name;
    wsgi_names_set_t  *set;

    if (len > WSGI_NAME_MAX) {
        return NULL;
    }

    set = &wsgi_names[hash & (WSGI_NAMES_SETS - 1)];

    for (name = set->names; name < set->names + WSGI_NAMES_WAYS; name++) {

        if (name->hash == hash && name->key
            && wsgi_names_equal(name->key, p, len))
        {
            wsgi_names_use(name);
            return name;
        }
    }

    key = PyUnicode_DecodeLatin1((const char *) p, len, NULL);
    if (key == NULL) {
        return NULL;
    }

    name = wsgi_names_replace(set);

    name->hash = hash;
    name->key = key;

    return name;
}


/*
 * A name that has come again.  Interned, it is the same object as the name in
 * the code of the application, and found at once in a dict.
 */

static void
wsgi_names_use(wsgi_name_t *name)
{
    if (name->used) {
        return;
    }

    name->used = 1;

    if (!name->interned && wsgi_ninterned < WSGI_INTERNED_MAX) {
        name->interned = 1;
        wsgi_ninterned++;

        PyUnicode_InternInPlace(&name->key);
    }
}


/* Makes room for a name: one turn of the hand at most. */

static wsgi_name_t *
wsgi_names_replace(wsgi_names_set_t *set)
{
    wsgi_name_t  *name;

    for ( ;; ) {
        name = &set->names[set->hand];
        set->hand = (set->hand + 1) % WSGI_NAMES_WAYS;

        if (!name->used) {
            break;
        }

        name->used = 0;
    }

    Py_CLEAR(name->key);
    Py_CLEAR(name->value);
    name->interned = 0;

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
    uint32_t  i, n;

    for (i = 0; i < WSGI_NAMES_SETS; i++) {
        for (n = 0; n < WSGI_NAMES_WAYS; n++) {
            Py_CLEAR(wsgi_names[i].names[n].key);
            Py_CLEAR(wsgi_names[i].names[n].value);
        }
    }

    memset(wsgi_names, 0, sizeof(wsgi_names));
    wsgi_ninterned = 0;
}
