/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi.errors, sys.stderr and sys.stdout: text streams that end in nginx's
 * error log, line by line, with the context of the request that the writing
 * thread runs.
 *
 * print() writes its text in pieces, so each thread collects its line, for
 * each stream, until the newline comes, flush() is called, the line is as long
 * as nginx's log can take, or the request or the thread ends.
 */

#include "wsgi_python.h"


/* nginx cuts a log entry at 2048 bytes, of which the context needs some */
#define WSGI_LINE_MAX  1536


typedef enum {
    WSGI_STDOUT = 0,
    WSGI_STDERR,
    WSGI_NSTREAMS
} wsgi_stream_e;


typedef struct {
    PyObject_HEAD
    wsgi_stream_e   stream;
} wsgi_errors_t;


typedef struct {
    size_t   len;
    char     text[WSGI_LINE_MAX];
} wsgi_line_t;


/* of each thread; made at its first write, freed when it ends */
static pthread_key_t       wsgi_lines_key;
static __thread wsgi_line_t  *wsgi_lines;


static void wsgi_errors_put(wsgi_stream_e stream, const char *p, size_t len);
static void wsgi_errors_emit(wsgi_stream_e stream);
static void wsgi_errors_log(const char *p, size_t len);
static wsgi_line_t *wsgi_errors_lines(void);
static void wsgi_errors_thread_ends(void *lines);
static int wsgi_errors_instance(PyObject *module, wsgi_stream_e stream,
    const char *name, PyObject **object);


static PyObject *
wsgi_errors_write(PyObject *self, PyObject *str)
{
    PyObject       *bytes;
    wsgi_errors_t  *errors;

    errors = (wsgi_errors_t *) self;

    if (!PyUnicode_Check(str)) {
        PyErr_Format(PyExc_TypeError, "write() argument must be str, not %s",
                     Py_TYPE(str)->tp_name);
        return NULL;
    }

    bytes = wsgi_errors_encode(str);
    if (bytes == NULL) {
        return NULL;
    }

    wsgi_errors_put(errors->stream, PyBytes_AS_STRING(bytes),
                    (size_t) PyBytes_GET_SIZE(bytes));

    Py_DECREF(bytes);

    return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(str));
}


PyObject *
wsgi_errors_encode(PyObject *str)
{
    return PyUnicode_AsEncodedString(str, "utf-8", "backslashreplace");
}


static PyObject *
wsgi_errors_writelines(PyObject *self, PyObject *lines)
{
    PyObject  *iterator, *line, *rv;

    iterator = PyObject_GetIter(lines);
    if (iterator == NULL) {
        return NULL;
    }

    while ((line = PyIter_Next(iterator)) != NULL) {
        rv = wsgi_errors_write(self, line);
        Py_DECREF(line);

        if (rv == NULL) {
            break;
        }

        Py_DECREF(rv);
    }

    Py_DECREF(iterator);

    if (PyErr_Occurred()) {
        return NULL;
    }

    Py_RETURN_NONE;
}


static PyObject *
wsgi_errors_flush_method(PyObject *self, PyObject *unused)
{
    (void) unused;

    wsgi_errors_emit(((wsgi_errors_t *) self)->stream);

    Py_RETURN_NONE;
}


static void
wsgi_errors_put(wsgi_stream_e stream, const char *p, size_t len)
{
    int           full;
    size_t        n;
    const char   *newline;
    wsgi_line_t  *line;

    line = wsgi_errors_lines();
    if (line == NULL) {

        /* no memory: a piece of a line is better than none */

        wsgi_errors_log(p, len);
        return;
    }

    line += stream;

    while (len) {
        newline = memchr(p, '\n', len);
        n = newline ? (size_t) (newline - p) : len;

        full = (n >= WSGI_LINE_MAX - line->len);

        if (n > WSGI_LINE_MAX - line->len) {
            n = WSGI_LINE_MAX - line->len;
            newline = NULL;

            /* a character of UTF-8 is not divided between two lines */

            while (n && ((uint8_t) p[n] & 0xc0) == 0x80) {
                n--;
            }
        }

        memcpy(line->text + line->len, p, n);
        line->len += n;

        if (newline || full) {
            wsgi_errors_emit(stream);
        }

        n += (newline != NULL);
        p += n;
        len -= n;
    }
}


static void
wsgi_errors_emit(wsgi_stream_e stream)
{
    wsgi_line_t  *line;

    if (wsgi_lines == NULL || wsgi_lines[stream].len == 0) {
        return;
    }

    line = &wsgi_lines[stream];

    wsgi_errors_log(line->text, line->len);
    line->len = 0;
}


static void
wsgi_errors_log(const char *p, size_t len)
{
    wsgi_request_t  *request;

    request = wsgi_thread_request();

    wsgi_host->log(request ? request->job : NULL, NWSGI_LOG_ERR, p, len);
}


void
wsgi_errors_flush(void)
{
    wsgi_errors_emit(WSGI_STDOUT);
    wsgi_errors_emit(WSGI_STDERR);
}


static wsgi_line_t *
wsgi_errors_lines(void)
{
    if (wsgi_lines == NULL) {
        wsgi_lines = calloc(WSGI_NSTREAMS, sizeof(wsgi_line_t));

        if (wsgi_lines == NULL
            || pthread_setspecific(wsgi_lines_key, wsgi_lines) != 0)
        {
            free(wsgi_lines);
            wsgi_lines = NULL;
        }
    }

    return wsgi_lines;
}


/* any thread, as its last act */

static void
wsgi_errors_thread_ends(void *lines)
{
    wsgi_errors_flush();

    wsgi_lines = NULL;
    free(lines);
}


static PyObject *
wsgi_errors_fileno(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    /* nginx has made its error log the standard error */

    return PyLong_FromLong(2);
}


static PyObject *
wsgi_errors_false(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_FALSE;
}


static PyObject *
wsgi_errors_true(PyObject *self, PyObject *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_TRUE;
}


static PyObject *
wsgi_errors_attr_false(PyObject *self, void *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_FALSE;
}


static PyObject *
wsgi_errors_attr_true(PyObject *self, void *unused)
{
    (void) self;
    (void) unused;

    Py_RETURN_TRUE;
}


static PyObject *
wsgi_errors_attr_text(PyObject *self, void *text)
{
    (void) self;

    return PyUnicode_FromString(text);
}


static PyObject *
wsgi_errors_name(PyObject *self, void *unused)
{
    (void) unused;

    return PyUnicode_FromString(
               ((wsgi_errors_t *) self)->stream == WSGI_STDOUT ? "<stdout>"
                                                               : "<stderr>");
}


static void
wsgi_errors_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}


static PyMethodDef  wsgi_errors_methods[] = {
    { "write", wsgi_errors_write, METH_O,
      "write(str) -> number of characters" },
    { "writelines", wsgi_errors_writelines, METH_O,
      "writelines(lines)" },
    { "flush", wsgi_errors_flush_method, METH_NOARGS,
      "flush(): logs the line that has no newline yet" },
    { "close", wsgi_errors_flush_method, METH_NOARGS,
      "close(): as flush(), the stream is the server's" },
    { "fileno", wsgi_errors_fileno, METH_NOARGS, NULL },
    { "isatty", wsgi_errors_false, METH_NOARGS, NULL },
    { "readable", wsgi_errors_false, METH_NOARGS, NULL },
    { "seekable", wsgi_errors_false, METH_NOARGS, NULL },
    { "writable", wsgi_errors_true, METH_NOARGS, NULL },
    { NULL, NULL, 0, NULL }
};


static PyGetSetDef  wsgi_errors_getset[] = {
    { "closed", wsgi_errors_attr_false, NULL, NULL, NULL },
    { "line_buffering", wsgi_errors_attr_true, NULL, NULL, NULL },
    { "encoding", wsgi_errors_attr_text, NULL, NULL, (void *) "utf-8" },
    { "errors", wsgi_errors_attr_text, NULL, NULL,
      (void *) "backslashreplace" },
    { "mode", wsgi_errors_attr_text, NULL, NULL, (void *) "w" },
    { "name", wsgi_errors_name, NULL, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL }
};


static PyType_Slot  wsgi_errors_slots[] = {
    { Py_tp_dealloc, wsgi_errors_dealloc },
    { Py_tp_methods, wsgi_errors_methods },
    { Py_tp_getset, wsgi_errors_getset },
    { Py_tp_doc, (void *) "a text stream into nginx's error log" },
    { 0, NULL }
};


static PyType_Spec  wsgi_errors_spec = {
    .name = "ngx_wsgi.Errors",
    .basicsize = sizeof(wsgi_errors_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = wsgi_errors_slots
};


int
wsgi_errors_init(PyObject *module)
{
    PyObject  *out;

    if (pthread_key_create(&wsgi_lines_key, wsgi_errors_thread_ends) != 0) {
        PyErr_NoMemory();
        return -1;
    }

    if (wsgi_module_type(module, &wsgi_errors_spec, &wsgi.errors_type) != 0
        || wsgi_errors_instance(module, WSGI_STDOUT, "stdout", &out) != 0)
    {
        return -1;
    }

    Py_DECREF(out);

    return wsgi_errors_instance(module, WSGI_STDERR, "stderr", &wsgi.errors);
}


static int
wsgi_errors_instance(PyObject *module, wsgi_stream_e stream, const char *name,
    PyObject **object)
{
    wsgi_errors_t  *errors;

    errors = PyObject_New(wsgi_errors_t, wsgi.errors_type);
    if (errors == NULL) {
        return -1;
    }

    errors->stream = stream;
    *object = (PyObject *) errors;

    return PyObject_SetAttrString(module, name, *object);
}
