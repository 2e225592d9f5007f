/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * asan_pool.h: included before all of the module in BUILD=asan.  A pool cuts
 * small allocations from a block, within which AddressSanitizer sees no bounds.
 * What the module itself takes from a pool is taken as if it were too large for
 * the block, so that malloc() gives it.  See ngx_palloc() of nginx.
 */

#ifndef ASAN_POOL_H
#define ASAN_POOL_H

#include <ngx_config.h>
#include <ngx_core.h>


static inline void *
asan_pool_alloc(ngx_pool_t *pool, size_t size,
    void *(*alloc)(ngx_pool_t *pool, size_t size))
{
    void    *p;
    size_t   max;

    max = pool->max;
    pool->max = 0;

    p = alloc(pool, size);

    pool->max = max;

    return p;
}


#define ngx_palloc(pool, size)   asan_pool_alloc(pool, size, ngx_palloc)
#define ngx_pnalloc(pool, size)  asan_pool_alloc(pool, size, ngx_pnalloc)
#define ngx_pcalloc(pool, size)  asan_pool_alloc(pool, size, ngx_pcalloc)


#endif /* ASAN_POOL_H */
