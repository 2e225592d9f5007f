
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that make nginx's response of an application's.
 * Included by ngx_http_wsgi_module.h.  Every function runs on the loop, unless
 * a comment says "python".
 *
 *   _response.c   a message that has come, and the client that takes it
 *   _head.c       its status, and which of its fields go where: _header.c
 *   _accel.c      answers that are nginx's instead
 *   _hints.c      103
 *   _output.c     its body; _spool.c: what of that has to wait in a file,
 *                 _file.c: bodies that are files
 */


#ifndef _NGX_HTTP_WSGI_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_WSGI_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_wsgi_compat.h"
#include "ngx_http_wsgi_conf.h"
#include "ngx_http_wsgi_job.h"


/* A piece of the body on its way to the client. */

typedef struct ngx_http_wsgi_buf_s  ngx_http_wsgi_buf_t;

struct ngx_http_wsgi_buf_s {
    ngx_buf_t                       buf;
    ngx_http_wsgi_buf_t            *next;
    ngx_http_wsgi_message_t        *message;           /* NULL: of a file */
};


/* _response.c */

/* A message of send() has come for this request. */
void ngx_http_wsgi_send(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m);

/*
 * To be asked after every call into nginx's filters, with what they returned,
 * before anything else is done for the request.  A filter may have answered
 * instead of the application, as for "If-Match" or an image that is none: see
 * ngx_http_filter_finalize_request().  Then the request is on another way, and
 * this is NGX_ERROR, for ngx_http_wsgi_finalize(); else it is "rc".
 */
ngx_int_t ngx_http_wsgi_filtered(ngx_http_wsgi_ctx_t *ctx, ngx_int_t rc);

/* r->write_event_handler while the response is under way. */
void ngx_http_wsgi_write_handler(ngx_http_request_t *r);


/* _head.c, _header.c */

/*
 * The fields of a message as nginx's own parsers make them, in memory of the
 * request: an array of m->nfields.  NGX_OK; NGX_ERROR: no memory; or an HTTP
 * status: they are too large, which has been logged.
 */
ngx_int_t ngx_http_wsgi_copy_fields(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m, ngx_table_elt_t **fields);

/*
 * The head of a message, whose fields the context has, into r->headers_out.
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_wsgi_set_head(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);

#define NGX_HTTP_WSGI_FIELD_REDIRECT   1   /* X-Accel-Redirect keeps it */
#define NGX_HTTP_WSGI_FIELD_CHALLENGE  2   /* WWW-Authenticate */

/*
 * The fields of the context into r->headers_out: all if "which" is 0, else
 * those that are one of NGX_HTTP_WSGI_FIELD_*.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_wsgi_set_fields(ngx_http_wsgi_ctx_t *ctx, ngx_uint_t which);


/* _accel.c */

/*
 * Before the head of a message is taken: has the application asked nginx to
 * answer?  NGX_DECLINED: no.  NGX_DONE: the request was redirected, neither it
 * nor its context may be touched again.  Else what to finalize it with.
 */
ngx_int_t ngx_http_wsgi_divert(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);

/* wsgi_hide_header and wsgi_pass_header. */
char *ngx_http_wsgi_merge_headers(ngx_conf_t *cf,
    ngx_http_wsgi_loc_conf_t *prev, ngx_http_wsgi_loc_conf_t *conf);
ngx_uint_t ngx_http_wsgi_is_hidden(ngx_http_wsgi_loc_conf_t *wlcf,
    ngx_str_t *name);


/* _hints.c */

#if (NGX_HTTP_WSGI_EARLY_HINTS)

/* python.  early_hints() of the host table. */
int32_t ngx_http_wsgi_host_early_hints(nwsgi_job_t *nj,
    const nwsgi_field_t *fields, uint32_t nfields);

#define NGX_HTTP_WSGI_HOST_EARLY_HINTS  ngx_http_wsgi_host_early_hints

#else

#define NGX_HTTP_WSGI_HOST_EARLY_HINTS  NULL

#endif

/* Sends a message of early_hints(), and frees it. */
void ngx_http_wsgi_send_hints(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);


/* _output.c */

/* To be called when ctx->buffering is set: how much the job may send. */
void ngx_http_wsgi_init_output(ngx_http_wsgi_ctx_t *ctx);

/*
 * The body of a message, which is the context's or freed when this returns.
 * What ngx_http_output_filter() returns.
 */
ngx_int_t ngx_http_wsgi_output(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);

/* The client may take more.  NGX_OK, or NGX_ERROR. */
ngx_int_t ngx_http_wsgi_continue_output(ngx_http_wsgi_ctx_t *ctx);

/*
 * All that is spooled or queued becomes busy.  What ngx_http_output_filter()
 * returns.
 */
ngx_int_t ngx_http_wsgi_pass_on(ngx_http_wsgi_ctx_t *ctx);

/* A clean buffer, or NULL: no memory. */
ngx_http_wsgi_buf_t *ngx_http_wsgi_get_buf(ngx_http_wsgi_ctx_t *ctx);

/* Frees the buffer and its message. */
void ngx_http_wsgi_free_buf(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_buf_t *wb);

/* Frees what the client has not taken: at the end of the request. */
void ngx_http_wsgi_free_output(ngx_http_wsgi_ctx_t *ctx);


/* _spool.c */

/* Writes the queue to the file, if there is too much of it. */
void ngx_http_wsgi_spool(ngx_http_wsgi_ctx_t *ctx);

/* What the file has that is not busy becomes so.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_wsgi_pass_spool(ngx_http_wsgi_ctx_t *ctx);

/* Empties the file, if nothing is busy and all that it has was passed on. */
void ngx_http_wsgi_empty_spool(ngx_http_wsgi_ctx_t *ctx);

/* The job is let go: no event may be left that needs it. */
void ngx_http_wsgi_stop_spool(ngx_http_wsgi_ctx_t *ctx);


/* _file.c */

/* Has nginx answer Range, if this response is fit for it; before its head. */
void ngx_http_wsgi_allow_ranges(ngx_http_request_t *r,
    ngx_http_wsgi_message_t *m);

/*
 * Makes "b" the body of a message of NWSGI_SEND_FILE, which has to live as long
 * as "b" does.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_wsgi_set_file(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_http_wsgi_message_t *m);


#endif /* _NGX_HTTP_WSGI_RESPONSE_H_INCLUDED_ */
