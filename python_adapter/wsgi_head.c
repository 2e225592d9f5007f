/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The head of a response: the arguments of start_response(), checked when it
 * is called, so that the error is raised where it was made.
 *
 * Errors end in the log, and values may be secrets, such as those of cookies:
 * no message has one.
 */

#include "wsgi_python.h"


static int wsgi_head_status(wsgi_head_t *head, PyObject *status);
static int wsgi_head_add(wsgi_request_t *request, wsgi_head_t *head,
    PyObject *item);
static int wsgi_head_length(wsgi_head_t *head, const nwsgi_field_t *field);
static void wsgi_head_hop_by_hop(wsgi_request_t *request, PyObject *name);
static int wsgi_head_reserve(wsgi_head_t *head, Py_ssize_t n);
static void wsgi_head_keep(wsgi_head_t *head, PyObject *object);


int
wsgi_head_set(wsgi_request_t *request, PyObject *status, PyObject *headers)
{
    wsgi_head_t  *head;

    head = request->head;

    wsgi_head_clear(head);

    if (wsgi_head_reserve(head, 0) != 0
        || wsgi_head_status(head, status) != 0)
    {
        return -1;
    }

    return wsgi_head_fields(request, head, headers);
}


int
wsgi_head_fields(wsgi_request_t *request, wsgi_head_t *head, PyObject *headers)
{
    Py_ssize_t  i;

    if (!PyList_Check(headers)) {
        PyErr_Format(PyExc_TypeError,
                     "the headers must be a list, not %.100s",
                     Py_TYPE(headers)->tp_name);
        return -1;
    }

    if (wsgi_head_reserve(head, PyList_GET_SIZE(headers)) != 0) {
        return -1;
    }

    for (i = 0; i < PyList_GET_SIZE(headers); i++) {
        if (wsgi_head_add(request, head, PyList_GET_ITEM(headers, i)) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
wsgi_head_status(wsgi_head_t *head, PyObject *status)
{
    uint32_t     len;
    const char  *p;

    if (wsgi_head_text(status, "the status", &p, &len) != 0) {
        return -1;
    }

    head->code = wsgi_validate_status((const uint8_t *) p, len);
    if (head->code == 0) {
        return -1;
    }

    wsgi_head_keep(head, status);

    head->reason.off = sizeof("999 ") - 1;
    head->reason.len = len - head->reason.off;

    return 0;
}


static int
wsgi_head_add(wsgi_request_t *request, wsgi_head_t *head, PyObject *item)
{
    PyObject       *name, *value;
    nwsgi_field_t   field;
    const uint8_t  *p;

    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "a header must be a tuple (name, value), not %.100s%s",
                     Py_TYPE(item)->tp_name,
                     PyTuple_Check(item) ? " of another length" : "");
        return -1;
    }

    name = PyTuple_GET_ITEM(item, 0);
    value = PyTuple_GET_ITEM(item, 1);

    if (wsgi_head_text(name, "a header name", &field.name,
                       &field.name_len) != 0)
    {
        return -1;
    }

    p = (const uint8_t *) field.name;

    if (wsgi_validate_name(p, field.name_len) != 0
        || wsgi_head_text(value, field.name, &field.value,
                          &field.value_len) != 0
        || wsgi_validate_value(p, field.name_len,
                               (const uint8_t *) field.value,
                               field.value_len) != 0)
    {
        return -1;
    }

    if (wsgi_validate_is(p, field.name_len, "content-length")) {
        return wsgi_head_length(head, &field);
    }

    if (wsgi_validate_hop_by_hop(p, field.name_len)) {
        wsgi_head_hop_by_hop(request, name);
        return 0;
    }

    wsgi_head_keep(head, name);
    wsgi_head_keep(head, value);
    head->fields[head->nfields++] = field;

    return 0;
}


int
wsgi_head_text(PyObject *str, const char *what, const char **p, uint32_t *len)
{
    if (!PyUnicode_Check(str)) {
        PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what,
                     Py_TYPE(str)->tp_name);
        return -1;
    }

#if PY_VERSION_HEX < 0x030c0000
    if (PyUnicode_READY(str) != 0) {
        return -1;
    }
#endif

    if (PyUnicode_KIND(str) != PyUnicode_1BYTE_KIND) {
        PyErr_Format(PyExc_ValueError,
                     "%s contains a character above U+00FF", what);
        return -1;
    }

    if (PyUnicode_GET_LENGTH(str) > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s is too long", what);
        return -1;
    }

    *p = (const char *) PyUnicode_1BYTE_DATA(str);
    *len = (uint32_t) PyUnicode_GET_LENGTH(str);

    return 0;
}


static int
wsgi_head_length(wsgi_head_t *head, const nwsgi_field_t *field)
{
    int64_t  n;

    n = wsgi_validate_length((const uint8_t *) field->value,
                             field->value_len);
    if (n == -1) {
        return -1;
    }

    if (head->content_length != -1 && head->content_length != n) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length is given twice, and differs");
        return -1;
    }

    head->content_length = n;

    return 0;
}


/*
 * PEP 3333 leaves such headers to the server ("Other HTTP Features"); what the
 * application says of the connection is not true of the client's.
 */

static void
wsgi_head_hop_by_hop(wsgi_request_t *request, PyObject *name)
{
    int   len;
    char  text[128];

    len = snprintf(text, sizeof(text), "the application's header \"%.40s\" "
                   "is dropped: it is for the server to send",
                   (const char *) PyUnicode_1BYTE_DATA(name));

    wsgi_host->log(request->job, NWSGI_LOG_WARN, text, (size_t) len);
}


static int
wsgi_head_reserve(wsgi_head_t *head, Py_ssize_t n)
{
    void    *p;
    size_t   size;

    if ((size_t) n <= head->size && head->refs) {
        return 0;
    }

    size = (n < 32) ? 32 : (size_t) n;

    p = PyMem_Realloc(head->fields, size * sizeof(nwsgi_field_t));
    if (p == NULL) {
        PyErr_NoMemory();
        return -1;
    }

    head->fields = p;

    p = PyMem_Realloc(head->refs, (2 * size + 1) * sizeof(PyObject *));
    if (p == NULL) {
        PyErr_NoMemory();
        return -1;
    }

    head->refs = p;
    head->size = (uint32_t) size;

    return 0;
}


static void
wsgi_head_keep(wsgi_head_t *head, PyObject *object)
{
    Py_INCREF(object);
    head->refs[head->nrefs++] = object;
}


void
wsgi_head_clear(wsgi_head_t *head)
{
    while (head->nrefs) {
        Py_DECREF(head->refs[--head->nrefs]);
    }

    head->code = 0;
    head->nfields = 0;
    head->content_length = -1;
}


void
wsgi_head_free(wsgi_head_t *head)
{
    wsgi_head_clear(head);

    PyMem_Free(head->fields);
    PyMem_Free(head->refs);
}
