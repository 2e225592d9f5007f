/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_nginx.h: what the targets of the module share: a request, and as much of
 * nginx as they get to.
 */

#ifndef FUZZ_NGINX_H
#define FUZZ_NGINX_H

#include "ngx_http_wsgi_block.h"
#include "ngx_http_wsgi_header.h"

#include "fuzz.h"


extern ngx_http_request_t        fuzz_request;
extern ngx_http_wsgi_loc_conf_t  fuzz_conf;
extern ngx_http_wsgi_ctx_t       fuzz_ctx;

/* A request as it is before anything; the pool is empty. */
void fuzz_begin(void);

/* Frees what was allocated from the pool. */
void fuzz_end(void);

/* What is logged; NULL, as it is at first: the target does not look. */
extern void (*fuzz_logged)(ngx_uint_t level, ngx_log_t *log,
    const char *format, va_list args);

/* Fails if a terminal obeys the text, or it is not UTF-8. */
void fuzz_printable(const u_char *p, size_t len);

/* Of the pool: each allocation has bounds of its own. */
void *fuzz_alloc(size_t size);


#endif /* FUZZ_NGINX_H */
