
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hash of names of environ's entries.
 *
 * Clients choose the names of header fields.  If they could compute the hash,
 * they would choose names that fall together, here and in the runtime's cache.
 * So this is SipHash-1-3, which Python has for its own dicts, with a key that
 * each worker draws for itself.  FNV-1a with a random basis would not do: the
 * lowest bits of its result come from nothing but the lowest bits of the basis
 * and of the name, so some names fall together whatever the basis is.
 */


#include "ngx_http_wsgi_block.h"


#define ngx_http_wsgi_rotate(x, n)  ((x) << (n) | (x) >> (64 - (n)))


/* the worker's, set once, in init_process */

static uint64_t  ngx_http_wsgi_hash_key[2];


void
ngx_http_wsgi_init_hash(ngx_cycle_t *cycle)
{
    u_char           *bytes;
    uint64_t         *key;
    struct timespec   ts;

    key = ngx_http_wsgi_hash_key;
    bytes = ngx_http_wsgi_random();

    if (bytes) {
        ngx_memcpy(key, bytes, NGX_HTTP_WSGI_RANDOM);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                  "getrandom() failed, the hash of header names has a key "
                  "that could be guessed");

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    key[0] = (uint64_t) ts.tv_nsec << 32 ^ (uintptr_t) &ts;
    key[1] = (uint64_t) ngx_random() << 32 ^ (uintptr_t) cycle ^ ngx_pid;
}


static ngx_inline void
ngx_http_wsgi_hash_round(uint64_t *v)
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ngx_http_wsgi_rotate(v[1], 13) ^ v[0];
    v[3] = ngx_http_wsgi_rotate(v[3], 16) ^ v[2];
    v[0] = ngx_http_wsgi_rotate(v[0], 32);

    v[2] += v[1];
    v[0] += v[3];
    v[1] = ngx_http_wsgi_rotate(v[1], 17) ^ v[2];
    v[3] = ngx_http_wsgi_rotate(v[3], 21) ^ v[0];
    v[2] = ngx_http_wsgi_rotate(v[2], 32);
}


/* Up to seven bytes as a number; others of that length are another one. */

static ngx_inline uint64_t
ngx_http_wsgi_hash_rest(u_char *p, size_t len)
{
    uint16_t  two;
    uint32_t  four;
    uint64_t  n;

    n = 0;

    if (len & 4) {
        ngx_memcpy(&four, p, 4);
        n = four;
        p += 4;
    }

    if (len & 2) {
        ngx_memcpy(&two, p, 2);
        n = n << 16 | two;
        p += 2;
    }

    if (len & 1) {
        n = n << 8 | *p;
    }

    return n;
}


uint32_t
ngx_http_wsgi_hash(u_char *p, size_t len)
{
    size_t    left;
    uint64_t  word, v[4];

    v[0] = ngx_http_wsgi_hash_key[0] ^ 0x736f6d6570736575ULL;
    v[1] = ngx_http_wsgi_hash_key[1] ^ 0x646f72616e646f6dULL;
    v[2] = ngx_http_wsgi_hash_key[0] ^ 0x6c7967656e657261ULL;
    v[3] = ngx_http_wsgi_hash_key[1] ^ 0x7465646279746573ULL;

    /* words as they are in this machine: no other has to have the same hash */

    for (left = len; left >= 8; left -= 8) {
        ngx_memcpy(&word, p, 8);
        p += 8;

        v[3] ^= word;
        ngx_http_wsgi_hash_round(v);
        v[0] ^= word;
    }

    word = (uint64_t) len << 56 | ngx_http_wsgi_hash_rest(p, left);

    v[3] ^= word;
    ngx_http_wsgi_hash_round(v);
    v[0] ^= word;

    v[2] ^= 0xff;
    ngx_http_wsgi_hash_round(v);
    ngx_http_wsgi_hash_round(v);
    ngx_http_wsgi_hash_round(v);

    word = v[0] ^ v[1] ^ v[2] ^ v[3];

    return (uint32_t) (word ^ word >> 32);
}
