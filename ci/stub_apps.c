/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * stub_apps.c: the "applications" of the stub runtime.
 *
 * PATH_INFO says what the "application" does, the query string is a number:
 *
 *   /hello         a few bytes                     /empty     no body
 *   /environ       all entries, a line each        /echo      the body
 *   /big?N         N bytes in one message          /lend?N    N lent bytes
 *   /stream?N      N messages of 8 KB              /file?N    a file of N bytes
 *   /sleep?N       waits N ms, or until gone       /log?N     N log lines
 *   /stuck?N       waits N ms whatever happens     /longlog   one of 5000 bytes
 *   /fail-before   ends with an error              /fail-after
 *   /short         promises more than it sends     /early     a status of 103
 *   /chunks?N      N chunks, 10 ms apart           /no-end    OK without LAST
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stub.h"


typedef struct {
    FILE                *file;
    char                 bytes[];
} stub_owner_t;


typedef struct {
    const char          *path;
    int32_t            (*run)(nwsgi_job_t *job, uint64_t n);
} stub_route_t;


static atomic_int  lent;


static const nwsgi_field_t  stub_fields[] = {
    { "Content-Type", "text/plain; charset=utf-8", 12, 25 },
    { "Set-Cookie", "a=1", 10, 3 },
    { "Set-Cookie", "b=2", 10, 3 }
};


/* python.  Sends, and waits if it has to.  0, or -1: nobody wants the rest. */

static int
stub_send(nwsgi_job_t *job, uint32_t flags, int64_t length, const void *body,
    size_t len, uint64_t owner)
{
    int32_t          rc;
    nwsgi_message_t  msg;

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = flags;
    msg.content_length = -1;
    msg.body = body;
    msg.body_len = len;
    msg.owner = owner;

    if (flags & NWSGI_SEND_HEAD) {
        msg.status = 200;
        msg.reason = "Fine";
        msg.reason_len = 4;
        msg.fields = stub_fields;
        msg.nfields = sizeof(stub_fields) / sizeof(nwsgi_field_t);
        msg.content_length = length;
    }

    rc = stub_host->send(job, &msg);

    if (rc == NWSGI_AGAIN) {
        rc = stub_host->wait(job);
    }

    return rc == NWSGI_OK ? 0 : -1;
}


static int
stub_whole(nwsgi_job_t *job, const void *body, size_t len)
{
    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, (int64_t) len, body,
                     len, 0);
}


static int32_t
stub_hello(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_whole(job, "Hello, world!\n", 14);
}


static int32_t
stub_empty(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_whole(job, NULL, 0);
}


static int32_t
stub_environ(nwsgi_job_t *job, uint64_t n)
{
    int                   rc;
    char                 *text, *p;
    uint32_t              i;
    const nwsgi_var_t    *var;
    const nwsgi_block_t  *block;

    (void) n;

    block = job->block;

    text = malloc(block->size + 64 * (size_t) block->nvars + 64);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    p = text;

    for (i = 0; i < block->nvars; i++) {
        var = &block->vars[i];

        p += sprintf(p, "%.*s=%.*s\n",
                     (int) var->name.len,
                     (const char *) nwsgi_data(block, var->name),
                     (int) var->value.len,
                     (const char *) nwsgi_data(block, var->value));
    }

    rc = stub_whole(job, text, (size_t) (p - text));

    free(text);

    return rc;
}


static int32_t
stub_echo_stream(nwsgi_job_t *job)
{
    char      text[STUB_CHUNK];
    int64_t   got;
    uint32_t  flags;

    flags = NWSGI_SEND_HEAD;

    while ((got = stub_host->read(job, text, sizeof(text))) > 0) {
        if (stub_send(job, flags, -1, text, (size_t) got, 0) != 0) {
            return NWSGI_ERROR;
        }

        flags = 0;
    }

    if (got < 0) {
        return NWSGI_ERROR;
    }

    return stub_send(job, flags|NWSGI_SEND_LAST, -1, NULL, 0, 0);
}


static int32_t
stub_echo(nwsgi_job_t *job, uint64_t n)
{
    int32_t               rc;
    char                 *text;
    ssize_t               got;
    const nwsgi_block_t  *block;

    (void) n;

    block = job->block;

    if (block->flags & NWSGI_BLOCK_BODY_STREAM) {
        return stub_echo_stream(job);
    }

    if (block->flags & NWSGI_BLOCK_BODY_MEMORY) {
        return stub_whole(job, nwsgi_data(block, block->body), block->body.len);
    }

    if (!(block->flags & NWSGI_BLOCK_BODY_FILE)) {
        return stub_whole(job, NULL, 0);
    }

    text = malloc(block->body_len);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    got = pread(block->body_fd, text, block->body_len, 0);

    rc = (got == (ssize_t) block->body_len)
         ? stub_whole(job, text, block->body_len) : NWSGI_ERROR;

    free(text);

    return rc;
}


static int32_t
stub_big(nwsgi_job_t *job, uint64_t n)
{
    int32_t   rc;
    char     *text;

    text = calloc(1, n + 1);

    if (text == NULL) {
        return NWSGI_ERROR;
    }

    rc = stub_whole(job, text, n);

    free(text);

    return rc;
}


/* What is lent to the host, until stub_release(). */

static stub_owner_t *
stub_own(size_t size, FILE *file)
{
    stub_owner_t  *owner;

    owner = calloc(1, sizeof(stub_owner_t) + size);

    if (owner) {
        owner->file = file;
        atomic_fetch_add(&lent, 1);
    }

    return owner;
}


static int32_t
stub_lend(nwsgi_job_t *job, uint64_t n)
{
    stub_owner_t  *owner;

    owner = stub_own(n, NULL);

    if (owner == NULL) {
        return NWSGI_ERROR;
    }

    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, (int64_t) n,
                     owner->bytes, n, (uint64_t) (uintptr_t) owner);
}


static int32_t
stub_file(nwsgi_job_t *job, uint64_t n)
{
    FILE             *file;
    stub_owner_t     *owner;
    nwsgi_message_t   msg;

    file = tmpfile();

    if (file == NULL || ftruncate(fileno(file), (off_t) n) == -1) {
        return NWSGI_ERROR;
    }

    owner = stub_own(0, file);

    if (owner == NULL) {
        return NWSGI_ERROR;
    }

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = NWSGI_SEND_HEAD|NWSGI_SEND_LAST|NWSGI_SEND_FILE;
    msg.status = 200;
    msg.fields = stub_fields;
    msg.nfields = 1;
    msg.fd = fileno(file);
    msg.body_len = n;
    msg.content_length = (int64_t) n;
    msg.owner = (uint64_t) (uintptr_t) owner;

    return stub_host->send(job, &msg) == NWSGI_OK ? 0 : -1;
}


static int32_t
stub_stream(nwsgi_job_t *job, uint64_t n)
{
    char      page[STUB_CHUNK];
    uint64_t  i;

    memset(page, 'x', sizeof(page));

    for (i = 0; i < n; i++) {
        if (stub_send(job, i ? 0 : NWSGI_SEND_HEAD, -1, page, STUB_CHUNK, 0)
            != 0)
        {
            return NWSGI_ERROR;
        }
    }

    return stub_send(job, NWSGI_SEND_LAST | (n ? 0 : NWSGI_SEND_HEAD), -1,
                     NULL, 0, 0);
}


static int32_t
stub_chunks(nwsgi_job_t *job, uint64_t n)
{
    uint64_t  i;
    char      text[32];

    for (i = 0; i < n; i++) {
        stub_sleep(10);

        if (stub_send(job, i ? 0 : NWSGI_SEND_HEAD, -1, text,
                      (size_t) sprintf(text, "%lu\n", (unsigned long) i), 0)
            != 0)
        {
            return NWSGI_ERROR;
        }
    }

    return stub_send(job, NWSGI_SEND_LAST | (n ? 0 : NWSGI_SEND_HEAD), -1,
                     NULL, 0, 0);
}


static int32_t
stub_wait(nwsgi_job_t *job, uint64_t n)
{
    for ( /* void */ ; n; n--) {
        stub_sleep(1);

        if (stub_host->gone(job)) {
            return NWSGI_ERROR;
        }
    }

    return stub_hello(job, 0);
}


static int32_t
stub_stuck(nwsgi_job_t *job, uint64_t n)
{
    stub_sleep(n);

    return stub_hello(job, 0);
}


static int32_t
stub_log(nwsgi_job_t *job, uint64_t n)
{
    uint64_t  i;
    char      text[64];

    for (i = 0; i < n; i++) {
        (void) sprintf(text, "line %lu\nand its second\n", (unsigned long) i);
        stub_say(job, NWSGI_LOG_ERR, text);
    }

    return stub_hello(job, 0);
}


static int32_t
stub_longlog(nwsgi_job_t *job, uint64_t n)
{
    char    text[5000];
    size_t  i;

    (void) n;

    for (i = 0; i < sizeof(text); i += 2) {
        text[i] = (char) 0xc3;
        text[i + 1] = (char) 0xa9;
    }

    stub_host->log(job, NWSGI_LOG_ERR, text, sizeof(text));

    return stub_hello(job, 0);
}


static int32_t
stub_fail_before(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    stub_say(job, NWSGI_LOG_ERR, "failed before the head");

    return NWSGI_ERROR;
}


static int32_t
stub_fail_after(nwsgi_job_t *job, uint64_t n)
{
    (void) n;
    (void) stub_send(job, NWSGI_SEND_HEAD, -1, "half", 4, 0);

    stub_say(job, NWSGI_LOG_ERR, "failed after the head");

    return NWSGI_ERROR;
}


static int32_t
stub_short(nwsgi_job_t *job, uint64_t n)
{
    (void) n;

    return stub_send(job, NWSGI_SEND_HEAD|NWSGI_SEND_LAST, 100, "half", 4, 0);
}


static int32_t
stub_early(nwsgi_job_t *job, uint64_t n)
{
    nwsgi_message_t  msg;

    (void) n;

    memset(&msg, 0, sizeof(msg));

    msg.size = sizeof(msg);
    msg.flags = NWSGI_SEND_HEAD|NWSGI_SEND_LAST;
    msg.status = 103;
    msg.content_length = -1;

    return stub_host->send(job, &msg) == NWSGI_OK ? 0 : -1;
}


static int32_t
stub_no_end(nwsgi_job_t *job, uint64_t n)
{
    (void) n;
    (void) stub_send(job, NWSGI_SEND_HEAD, -1, "half", 4, 0);

    return NWSGI_OK;
}


static const stub_route_t  routes[] = {
    { "/hello", stub_hello },
    { "/empty", stub_empty },
    { "/environ", stub_environ },
    { "/echo", stub_echo },
    { "/big", stub_big },
    { "/lend", stub_lend },
    { "/stream", stub_stream },
    { "/chunks", stub_chunks },
    { "/file", stub_file },
    { "/sleep", stub_wait },
    { "/stuck", stub_stuck },
    { "/log", stub_log },
    { "/longlog", stub_longlog },
    { "/fail-before", stub_fail_before },
    { "/fail-after", stub_fail_after },
    { "/short", stub_short },
    { "/early", stub_early },
    { "/no-end", stub_no_end }
};


/* The value of an entry, as a string in "buf". */

static void
stub_get(const nwsgi_block_t *block, const char *name, char *buf, size_t size)
{
    size_t              len;
    uint32_t            i;
    const nwsgi_var_t  *var;

    buf[0] = '\0';

    for (i = 0; i < block->nvars; i++) {
        var = &block->vars[i];

        if (var->name.len == strlen(name)
            && memcmp(nwsgi_data(block, var->name), name, var->name.len) == 0)
        {
            len = var->value.len < size ? var->value.len : size - 1;
            memcpy(buf, nwsgi_data(block, var->value), len);
            buf[len] = '\0';
        }
    }
}


void
stub_run(nwsgi_job_t *job)
{
    char      path[64], args[32];
    size_t    i;
    int32_t   rc;

    if (stub_host->begin(job) != NWSGI_OK) {
        stub_host->end(job, NWSGI_ERROR);
        return;
    }

    stub_get(job->block, "PATH_INFO", path, sizeof(path));
    stub_get(job->block, "QUERY_STRING", args, sizeof(args));

    rc = NWSGI_ERROR;

    for (i = 0; i < sizeof(routes) / sizeof(stub_route_t); i++) {
        if (strcmp(routes[i].path, path) == 0) {
            rc = routes[i].run(job, strtoul(args, NULL, 10));
            break;
        }
    }

    stub_host->end(job, rc);
}


void
stub_release(uint64_t owner)
{
    stub_owner_t  *o;

    o = (stub_owner_t *) (uintptr_t) owner;

    if (o->file) {
        fclose(o->file);
    }

    free(o);
    atomic_fetch_sub(&lent, 1);
}


int
stub_lent(void)
{
    return atomic_load(&lent);
}
