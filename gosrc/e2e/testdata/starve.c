/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * For LD_PRELOAD: as long as the file STARVE_FILE exists there is no memory for
 * pieces of STARVE_MIN to STARVE_MAX bytes.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);


static size_t  min, max;
static char    file[4096];       /* nginx overwrites its environment */


__attribute__((constructor))
static void
starve_init(void)
{
    min = strtoul(getenv("STARVE_MIN"), NULL, 10);
    max = strtoul(getenv("STARVE_MAX"), NULL, 10);
    strncpy(file, getenv("STARVE_FILE"), sizeof(file) - 1);
}


static int
starve(size_t size)
{
    if (size >= min && size <= max && file[0] && access(file, F_OK) == 0) {
        errno = ENOMEM;
        return 1;
    }

    return 0;
}


void *
malloc(size_t size)
{
    return starve(size) ? NULL : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    return starve(n * size) ? NULL : __libc_calloc(n, size);
}
