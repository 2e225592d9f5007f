/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi.file_wrapper (PEP 3333, "Optional Platform-Specific File Handling"): an
 * iterable over the blocks of a file-like object that closes it at the end.  A
 * regular file is not iterated: nginx sends it.
 */

#include "wsgi_python.h"


#define WSGI_FILE_BLOCK  8192


typedef struct {
    PyObject_HEAD
    PyObject     *file;
    Py_ssize_t    block_size;
} wsgi_file_t;


static PyObject *
wsgi_file_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject     *file;
    Py_ssize_t    size;
    wsgi_file_t  *self;

    size = WSGI_FILE_BLOCK;

    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError,
                        "file_wrapper takes no keyword arguments");
        return NULL;
    }

    if (!PyArg_ParseTuple(args, "O|n:file_wrapper", &file, &size)) {
        return NULL;
    }

    if (size <= 0) {
        PyErr_SetString(PyExc_ValueError, "the block size must be positive");
        return NULL;
    }

    self = (wsgi_file_t *) type->tp_alloc(type, 0);

    if (self) {
        self->file = Py_NewRef(file);
        self->block_size = size;
    }

    return (PyObject *) self;
}


static PyObject *
wsgi_file_next(PyObject *object)
{
    PyObject     *block;
    wsgi_file_t  *self;

    self = (wsgi_file_t *) object;

    block = PyObject_CallMethod(self->file, "read", "n", self->block_size);

    if (block && PyBytes_Check(block) && PyBytes_GET_SIZE(block) == 0) {
        Py_CLEAR(block);
    }

    return block;
}


static PyObject *
wsgi_file_close(PyObject *self, PyObject *unused)
{
    PyObject  *close, *rv;

    (void) unused;

    close = PyObject_GetAttrString(((wsgi_file_t *) self)->file, "close");

    if (close == NULL) {

        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }

        PyErr_Clear();
        Py_RETURN_NONE;
    }

    rv = PyObject_CallNoArgs(close);
    Py_DECREF(close);

    return rv;
}


int
wsgi_file_range(PyObject *wrapper, int32_t *fd, int64_t *offset, int64_t *len)
{
    int        ok;
    PyObject  *range;
    long long  from, size;

    /* which objects are plain files is a question of Python's library */

    range = PyObject_CallMethod(wsgi.boot, "file_range", "O",
                                ((wsgi_file_t *) wrapper)->file);
    if (range == NULL) {
        return -1;
    }

    if (range == Py_None) {
        Py_DECREF(range);
        return 0;
    }

    ok = PyArg_ParseTuple(range, "iLL", fd, &from, &size);
    Py_DECREF(range);

    *offset = from;
    *len = size;

    return ok ? 1 : -1;
}


static int
wsgi_file_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((wsgi_file_t *) self)->file);

    return 0;
}


static int
wsgi_file_clear(PyObject *self)
{
    Py_CLEAR(((wsgi_file_t *) self)->file);

    return 0;
}


static void
wsgi_file_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void) wsgi_file_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}


static PyMethodDef  wsgi_file_methods[] = {
    { "close", wsgi_file_close, METH_NOARGS,
      "close(): closes the file, if it can be closed" },
    { NULL, NULL, 0, NULL }
};


static PyType_Slot  wsgi_file_slots[] = {
    { Py_tp_new, wsgi_file_new },
    { Py_tp_dealloc, wsgi_file_dealloc },
    { Py_tp_traverse, wsgi_file_traverse },
    { Py_tp_clear, wsgi_file_clear },
    { Py_tp_iter, PyObject_SelfIter },
    { Py_tp_iternext, wsgi_file_next },
    { Py_tp_methods, wsgi_file_methods },
    { Py_tp_doc, (void *) "file_wrapper(file, block_size=8192), "
                          "see PEP 3333" },
    { 0, NULL }
};


static PyType_Spec  wsgi_file_spec = {
    .name = "ngx_wsgi.FileWrapper",
    .basicsize = sizeof(wsgi_file_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = wsgi_file_slots
};


int
wsgi_file_init(PyObject *module)
{
    return wsgi_module_type(module, &wsgi_file_spec, &wsgi.file_wrapper_type);
}
