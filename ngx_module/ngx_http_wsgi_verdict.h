
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the parent of "wsgi_check import" makes of what comes through the pipe.
 *
 * The parent may be a master that runs as root, and the other end of the pipe
 * is an application's for the taking: any byte may come, at any time, from any
 * process that the import has started.  So a line has one of the levels of
 * nwsgi.h, its text can be printed, and there is only so much of it.  The
 * verdict is no such thing: an application that writes it itself may pretend
 * that it can be imported, and harms nobody else.
 *
 * All functions run in the parent, which has a single thread; a struct is its
 * caller's.
 */


#ifndef _NGX_HTTP_WSGI_VERDICT_H_INCLUDED_
#define _NGX_HTTP_WSGI_VERDICT_H_INCLUDED_


#include "ngx_http_wsgi_module.h"


/* The child writes lines of 1024 bytes at the most. */
#define NGX_HTTP_WSGI_VERDICT_LINE    2048

/*
 * What one check may write to the log, in bytes of the pipe; a line costs as
 * much more as nginx writes before it.
 */
#define NGX_HTTP_WSGI_VERDICT_BUDGET  (1024 * 1024)
#define NGX_HTTP_WSGI_VERDICT_PREFIX  64


typedef struct {
    ngx_log_t                      *log;
    size_t                          budget;            /* 0: it is spent */
    ngx_uint_t                      level;             /* of a line that is cut
                                                          in pieces, or 0 */
    size_t                          len;
    u_char                          found;             /* FAILED, PASSED, or 0:
                                                          no verdict so far */
    u_char                          line[NGX_HTTP_WSGI_VERDICT_LINE];
} ngx_http_wsgi_verdict_t;


void ngx_http_wsgi_verdict_init(ngx_http_wsgi_verdict_t *v, ngx_log_t *log);

/* Where to read to, and how much there is room for: never 0. */
u_char *ngx_http_wsgi_verdict_room(ngx_http_wsgi_verdict_t *v, size_t *size);

/* So many bytes were read there. */
void ngx_http_wsgi_verdict_add(ngx_http_wsgi_verdict_t *v, size_t n);

/* No more will be read: a line without its end is logged. */
void ngx_http_wsgi_verdict_end(ngx_http_wsgi_verdict_t *v);


#endif /* _NGX_HTTP_WSGI_VERDICT_H_INCLUDED_ */
