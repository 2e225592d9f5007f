
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that make the request block.
 */


#ifndef _NGX_HTTP_WSGI_BLOCK_H_INCLUDED_
#define _NGX_HTTP_WSGI_BLOCK_H_INCLUDED_


#include "ngx_http_wsgi_module.h"


/* The entries of every environ, in the order of ngx_http_wsgi_names. */

typedef enum {
    NGX_HTTP_WSGI_REQUEST_METHOD = 0,
    NGX_HTTP_WSGI_SCRIPT_NAME,
    NGX_HTTP_WSGI_PATH_INFO,
    NGX_HTTP_WSGI_QUERY_STRING,
    NGX_HTTP_WSGI_REQUEST_URI,
    NGX_HTTP_WSGI_RAW_URI,
    NGX_HTTP_WSGI_SERVER_PROTOCOL,
    NGX_HTTP_WSGI_SERVER_NAME,
    NGX_HTTP_WSGI_SERVER_PORT,
    NGX_HTTP_WSGI_SERVER_ADDR,
    NGX_HTTP_WSGI_REMOTE_ADDR,
    NGX_HTTP_WSGI_REMOTE_PORT,
    NGX_HTTP_WSGI_REMOTE_USER,
    NGX_HTTP_WSGI_DOCUMENT_ROOT,
    NGX_HTTP_WSGI_URL_SCHEME,
    NGX_HTTP_WSGI_REQUEST_SCHEME,
    NGX_HTTP_WSGI_HTTPS,
    NGX_HTTP_WSGI_CONTENT_TYPE,
    NGX_HTTP_WSGI_CONTENT_LENGTH,
    NGX_HTTP_WSGI_HTTP_HOST,
    NGX_HTTP_WSGI_REQUEST_ID,
    NGX_HTTP_WSGI_BODY_FILE,
    NGX_HTTP_WSGI_NVARS
} ngx_http_wsgi_var_e;


typedef struct ngx_http_wsgi_field_s  ngx_http_wsgi_field_t;

/* A header field of the request that becomes an entry, the first of its name */

struct ngx_http_wsgi_field_s {
    ngx_table_elt_t                *header;
    ngx_str_t                       value;             /* of it, trimmed */
    ngx_http_wsgi_field_t          *chain;             /* in a hash bucket */
    ngx_http_wsgi_field_t          *more;              /* of the same name */
    ngx_http_wsgi_field_t          *last;
    uint32_t                        hash;
    unsigned                        repeated:1;        /* not the first */
};


/* What is collected of a request before the size of its block is known. */

typedef struct {
    ngx_http_request_t             *request;
    ngx_http_wsgi_loc_conf_t       *conf;
    ngx_http_wsgi_ctx_t            *ctx;

    ngx_str_t                       values[NGX_HTTP_WSGI_NVARS];
    ngx_str_t                      *params;
    ngx_http_wsgi_field_t          *fields;
    ngx_uint_t                      nfields;

    ngx_uint_t                      nvars;
    size_t                          size;              /* of all text */

    off_t                           body_len;          /* -1: not known yet */
    unsigned                        pass_body:1;
    unsigned                        pass_authorization:1;
    unsigned                        body_in_file:1;
    unsigned                        streamed:1;
    unsigned                        https:1;

    u_char                          port[NGX_OFF_T_LEN];
    u_char                          remote_port[NGX_OFF_T_LEN];
    u_char                          length[NGX_OFF_T_LEN];
} ngx_http_wsgi_build_t;


/*
 * Collect into "b", and add to its "nvars" and "size".  What they point to
 * lives in the request or in "b".  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_wsgi_collect_vars(ngx_http_wsgi_build_t *b);
ngx_int_t ngx_http_wsgi_collect_fields(ngx_http_wsgi_build_t *b);

/* Of the variables, _address.c: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_wsgi_collect_server(ngx_http_wsgi_build_t *b);
void ngx_http_wsgi_collect_client(ngx_http_wsgi_build_t *b);

/* A number as text, at the end of "buf", which has NGX_OFF_T_LEN bytes. */
void ngx_http_wsgi_number(ngx_str_t *s, u_char *buf, uint64_t n);

/*
 * The hash of a name for nwsgi_var_t, the same for as long as the worker lives.
 * What it is of need not be spelled as the entry is, if entries of one name all
 * have it of the same.
 */
uint32_t ngx_http_wsgi_hash(u_char *p, size_t len);

/*
 * NGX_HTTP_WSGI_RANDOM bytes of the kernel's, as many as $request_id has and a
 * key of the hash; each are given once, and stay until the next call.  Never
 * waits.  NULL: early after boot there may be none yet, see errno.
 */
#define NGX_HTTP_WSGI_RANDOM  16

u_char *ngx_http_wsgi_random(void);

/*
 * A field's value without the blanks around it, which are none of it: narrows
 * the string, and writes nothing where it points to.
 */
void ngx_http_wsgi_trim(ngx_str_t *value);

/* HTTP_HOST, if it is not what the field "Host" says. */
void ngx_http_wsgi_collect_host(ngx_http_wsgi_build_t *b);

/*
 * Write what was collected: entries at *var, which is advanced, and their text
 * at "p".  The end of the text.
 */
u_char *ngx_http_wsgi_fill_vars(ngx_http_wsgi_build_t *b, nwsgi_block_t *block,
    nwsgi_var_t **var, u_char *p);
u_char *ngx_http_wsgi_fill_fields(ngx_http_wsgi_build_t *b,
    nwsgi_block_t *block, nwsgi_var_t **var, u_char *p);

/* Copies text into the block and says where it is. */
u_char *ngx_http_wsgi_put(nwsgi_block_t *block, nwsgi_str_t *s, u_char *p,
    ngx_str_t *text);


#endif /* _NGX_HTTP_WSGI_BLOCK_H_INCLUDED_ */
