/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A Python for the targets of the adapter, which is linked whole, with its
 * queues and threads; but wsgi_thread_request() is replaced (--wrap), since the
 * thread here is not one that wsgi_thread_run() runs.
 */

#include <stddef.h>
#include <stdlib.h>

#include "fuzz_python.h"


wsgi_thread_t   fuzz_thread;
wsgi_request_t  fuzz_request;


static void fuzz_log(nwsgi_job_t *job, uint32_t level, const char *text,
    size_t len);
static int32_t fuzz_gone(nwsgi_job_t *job);


nwsgi_host_t  fuzz_host = {
    .size = sizeof(nwsgi_host_t),
    .abi = NWSGI_ABI,
    .log = fuzz_log,
    .gone = fuzz_gone
};


wsgi_request_t *__wrap_wsgi_thread_request(void);


wsgi_request_t *
__wrap_wsgi_thread_request(void)
{
    return &fuzz_request;
}


/* Reads all of the text, for AddressSanitizer to see that it is there. */

static void
fuzz_log(nwsgi_job_t *job, uint32_t level, const char *text, size_t len)
{
    (void) job;
    (void) level;

    if (len && memchr(text, '\0', len)) {
        fuzz_fail("a NUL in a line for the log");
    }
}


static int32_t
fuzz_gone(nwsgi_job_t *job)
{
    (void) job;

    return 0;
}


void
fuzz_python(void)
{
    PyObject                  *boot, *module;
    static nwsgi_pool_conf_t   pool = { sizeof(pool), 1, 1, "default" };
    static nwsgi_config_t      conf = {
        .size = sizeof(nwsgi_config_t),
        .npools = 1,
        .pools = &pool,
        .ident = "nginx/1.2.3",
        .ident_len = sizeof("nginx/1.2.3") - 1
    };

    wsgi_host = &fuzz_host;

    if (PyImport_AppendInittab("_ngx_wsgi", wsgi_module_create) != 0) {
        fuzz_fail("PyImport_AppendInittab() failed");
    }

    Py_InitializeEx(0);

    boot = PyImport_ImportModule("io");
    module = PyImport_ImportModule("_ngx_wsgi");

    if (boot == NULL || module == NULL || wsgi_module_init(boot, &conf) != 0) {
        fuzz_raised("the start");
    }
}


void
fuzz_raised(const char *what)
{
    PyErr_Print();
    fuzz_fail("an exception: %s", what);
}


void
fuzz_bind(const nwsgi_block_t *block)
{
    static nwsgi_job_t  job;

    job.block = block;

    wsgi_head_clear(&fuzz_thread.head);
    memset(&fuzz_request, 0, sizeof(wsgi_request_t));

    fuzz_request.job = &job;
    fuzz_request.block = block;
    fuzz_request.thread = &fuzz_thread;
    fuzz_request.head = &fuzz_thread.head;
    fuzz_request.left = -1;

    if (wsgi_input_bind(&fuzz_thread, &fuzz_request) != 0
        || wsgi_link_bind(&fuzz_thread, &fuzz_request) != 0)
    {
        fuzz_raised("bind");
    }
}


nwsgi_block_t *
fuzz_block(uint32_t nvars, size_t size)
{
    nwsgi_block_t  *block;

    size += offsetof(nwsgi_block_t, vars) + nvars * sizeof(nwsgi_var_t);

    block = calloc(1, size);
    if (block == NULL) {
        fuzz_fail("no memory");
    }

    block->size = (uint32_t) size;
    block->nvars = nvars;
    block->body_fd = -1;

    return block;
}
