
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a header field of an application means to nginx.
 */


#ifndef _NGX_HTTP_WSGI_HEADER_H_INCLUDED_
#define _NGX_HTTP_WSGI_HEADER_H_INCLUDED_


#include "ngx_http_wsgi_module.h"


/* The flags of a field, beside NGX_HTTP_WSGI_FIELD_REDIRECT and _CHALLENGE. */

#define NGX_HTTP_WSGI_FIELD_SINGLE  0x0100   /* a second one is dropped */
#define NGX_HTTP_WSGI_FIELD_ACCEL   0x0200   /* tells nginx, not the client;
                                                "offset" is its bit in
                                                wsgi_ignore_headers */


/*
 * Takes a field into r->headers_out.  Its text lives as long as the request,
 * "field" itself does not.  "offset" is that of the table.  Returns NGX_OK or
 * NGX_ERROR.
 */
typedef ngx_int_t (*ngx_http_wsgi_header_pt)(ngx_http_request_t *r,
    ngx_table_elt_t *field, ngx_uint_t offset);


typedef struct {
    ngx_str_t                       name;      /* in lower case */
    ngx_http_wsgi_header_pt         handler;
    ngx_uint_t                      offset;
    ngx_uint_t                      flags;
} ngx_http_wsgi_header_t;


/* Ends with an empty name; not longer than the bits of "seen" in _head.c. */
extern ngx_http_wsgi_header_t  ngx_http_wsgi_headers[];

/* A line that means nothing to nginx. */
ngx_int_t ngx_http_wsgi_set_line(ngx_http_request_t *r, ngx_table_elt_t *field,
    ngx_uint_t offset);


#endif /* _NGX_HTTP_WSGI_HEADER_H_INCLUDED_ */
