
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The CGI variables of a request.
 *
 * PATH_INFO comes from nginx's own idea of the path, $uri: percent-decoded,
 * "//" and "/../" resolved, "rewrite" applied, as with uwsgi_params.  So what
 * the application routes by is what nginx chose the location by, and "deny" in
 * "location /admin/" holds for "/x/../admin/", too.  Who needs the spelling of
 * the client has REQUEST_URI and RAW_URI.
 *
 * REMOTE_USER is there only if wsgi_access has set it: $remote_user is what a
 * client says of itself, and only in a location with auth_basic has anybody
 * asked for a password.  There "wsgi_param REMOTE_USER $remote_user" passes it
 * on.
 */


#include "ngx_http_wsgi_block.h"

#include <sys/random.h>


static void ngx_http_wsgi_init_names(void);
static void ngx_http_wsgi_collect_line(ngx_http_wsgi_build_t *b);
static ngx_str_t ngx_http_wsgi_protocol(ngx_http_request_t *r);
static void ngx_http_wsgi_require(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_request(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_request_id(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_collect_path(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_root(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_collect_content(ngx_http_wsgi_build_t *b);


/* All names in one text, which a block takes as a whole. */

static u_char  ngx_http_wsgi_names[] =
    "REQUEST_METHOD "
    "SCRIPT_NAME "
    "PATH_INFO "
    "QUERY_STRING "
    "REQUEST_URI "
    "RAW_URI "
    "SERVER_PROTOCOL "
    "SERVER_NAME "
    "SERVER_PORT "
    "SERVER_ADDR "
    "REMOTE_ADDR "
    "REMOTE_PORT "
    "REMOTE_USER "
    "DOCUMENT_ROOT "
    "wsgi.url_scheme "
    "REQUEST_SCHEME "
    "HTTPS "
    "CONTENT_TYPE "
    "CONTENT_LENGTH "
    "HTTP_HOST "
    "nginx.request_id "
    "nginx.request_body_file ";


/* Where they are in it, made of it: see ngx_http_wsgi_init_names(). */

static nwsgi_var_t  ngx_http_wsgi_vars[NGX_HTTP_WSGI_NVARS];


ngx_int_t
ngx_http_wsgi_collect_vars(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t  i;

    ngx_http_wsgi_init_names();

    ngx_memzero(b->values, sizeof(b->values));

    ngx_http_wsgi_collect_host(b);

    if (ngx_http_wsgi_collect_request(b) != NGX_OK
        || ngx_http_wsgi_collect_server(b) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_wsgi_collect_client(b);
    ngx_http_wsgi_collect_content(b);
    ngx_http_wsgi_require(b);

    b->size += sizeof(ngx_http_wsgi_names) - 1;

    for (i = 0; i < NGX_HTTP_WSGI_NVARS; i++) {

        if (b->values[i].data) {
            b->nvars++;
            b->size += b->values[i].len;
        }
    }

    return NGX_OK;
}


static void
ngx_http_wsgi_init_names(void)
{
    u_char       *p, *last;
    nwsgi_var_t  *var;

    if (ngx_http_wsgi_vars[0].name.len) {
        return;
    }

    p = ngx_http_wsgi_names;

    for (var = ngx_http_wsgi_vars;
         var < ngx_http_wsgi_vars + NGX_HTTP_WSGI_NVARS;
         var++)
    {
        last = (u_char *) ngx_strchr(p, ' ');

        var->name.off = p - ngx_http_wsgi_names;
        var->name.len = last - p;
        var->hash = ngx_http_wsgi_hash(p, last - p);

        p = last + 1;
    }
}


static ngx_int_t
ngx_http_wsgi_collect_request(ngx_http_wsgi_build_t *b)
{
    ngx_str_t  *values;

    values = b->values;

    ngx_http_wsgi_collect_line(b);
    ngx_http_wsgi_collect_path(b);

    if (b->https) {
        ngx_str_set(&values[NGX_HTTP_WSGI_URL_SCHEME], "https");
        ngx_str_set(&values[NGX_HTTP_WSGI_HTTPS], "on");

    } else {
        ngx_str_set(&values[NGX_HTTP_WSGI_URL_SCHEME], "http");
    }

    values[NGX_HTTP_WSGI_REQUEST_SCHEME] = values[NGX_HTTP_WSGI_URL_SCHEME];

    if (ngx_http_wsgi_collect_request_id(b) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_wsgi_collect_root(b);
}


/*
 * A request that nginx could not parse gets here, too, by error_page or by
 * wsgi_access: each part of its line may be missing, or begun and not ended.
 * The method is GET then, as nginx itself has it for error pages.
 */

static void
ngx_http_wsgi_collect_line(ngx_http_wsgi_build_t *b)
{
    ngx_str_t           *values;
    ngx_http_request_t  *r;

    r = b->request;
    values = b->values;

    if (r->method_name.len) {
        values[NGX_HTTP_WSGI_REQUEST_METHOD] = r->method_name;

    } else {
        ngx_str_set(&values[NGX_HTTP_WSGI_REQUEST_METHOD], "GET");
    }

    if (r->unparsed_uri.len) {
        values[NGX_HTTP_WSGI_REQUEST_URI] = r->unparsed_uri;
        values[NGX_HTTP_WSGI_RAW_URI] = r->unparsed_uri;
    }

    if (r->args.len) {
        values[NGX_HTTP_WSGI_QUERY_STRING] = r->args;
    }

    values[NGX_HTTP_WSGI_SERVER_PROTOCOL] = ngx_http_wsgi_protocol(r);
}


/* nginx has no text for HTTP/0.9, nor for what it could not parse. */

static ngx_str_t
ngx_http_wsgi_protocol(ngx_http_request_t *r)
{
    ngx_uint_t  i;

    static const struct {
        ngx_uint_t  version;
        ngx_str_t   text;
    } protocols[] = {
        { NGX_HTTP_VERSION_9, ngx_string("HTTP/0.9") },
        { NGX_HTTP_VERSION_11, ngx_string("HTTP/1.1") },
        { NGX_HTTP_VERSION_20, ngx_string("HTTP/2.0") },
        { NGX_HTTP_VERSION_30, ngx_string("HTTP/3.0") },
        { 0, ngx_string("HTTP/1.0") }
    };

    if (r->http_protocol.len) {
        return r->http_protocol;
    }

    for (i = 0; protocols[i].version; i++) {
        if (protocols[i].version == r->http_version) {
            break;
        }
    }

    return protocols[i].text;
}


/* Entries that are always there, if only empty. */

static void
ngx_http_wsgi_require(ngx_http_wsgi_build_t *b)
{
    ngx_uint_t  i;

    static const ngx_http_wsgi_var_e  required[] = {
        NGX_HTTP_WSGI_SCRIPT_NAME,
        NGX_HTTP_WSGI_PATH_INFO,
        NGX_HTTP_WSGI_QUERY_STRING,
        NGX_HTTP_WSGI_REQUEST_URI,
        NGX_HTTP_WSGI_RAW_URI,
        NGX_HTTP_WSGI_REMOTE_ADDR
    };

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {

        if (b->values[required[i]].data == NULL) {
            ngx_str_set(&b->values[required[i]], "");
        }
    }
}


/*
 * $request_id, evaluated here: RAND_bytes() of OpenSSL takes more time than
 * the rest of the block.  Who asks for the variable later finds this value.
 */

static ngx_int_t
ngx_http_wsgi_collect_request_id(ngx_http_wsgi_build_t *b)
{
    u_char                     *id;
    ngx_http_request_t         *r;
    ngx_http_variable_value_t  *vv;
    ngx_http_wsgi_main_conf_t  *mcf;

    r = b->request;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_wsgi_module);

    vv = &r->variables[mcf->request_id];

    if (!vv->valid) {
        id = ngx_http_wsgi_random();

        if (id) {
            vv->data = ngx_pnalloc(r->pool, 2 * NGX_HTTP_WSGI_RANDOM);
            if (vv->data == NULL) {
                return NGX_ERROR;
            }

            (void) ngx_hex_dump(vv->data, id, NGX_HTTP_WSGI_RANDOM);

            vv->len = 2 * NGX_HTTP_WSGI_RANDOM;
            vv->valid = 1;
            vv->no_cacheable = 0;
            vv->not_found = 0;

        } else {
            vv = ngx_http_get_indexed_variable(r, mcf->request_id);

            if (vv == NULL || vv->not_found) {
                return NGX_ERROR;
            }
        }
    }

    b->values[NGX_HTTP_WSGI_REQUEST_ID].len = vv->len;
    b->values[NGX_HTTP_WSGI_REQUEST_ID].data = vv->data;

    return NGX_OK;
}


/* Fetched for many requests at once. */

u_char *
ngx_http_wsgi_random(void)
{
    static u_char  random[256 * NGX_HTTP_WSGI_RANDOM];
    static size_t  left;

    if (left == 0) {

        if (getrandom(random, sizeof(random), GRND_NONBLOCK)
            != (ssize_t) sizeof(random))
        {
            return NULL;
        }

        left = sizeof(random);
    }

    left -= NGX_HTTP_WSGI_RANDOM;

    return &random[left];
}


/* SCRIPT_NAME ends and PATH_INFO begins where a segment of the path begins. */

static void
ngx_http_wsgi_collect_path(ngx_http_wsgi_build_t *b)
{
    ngx_str_t           *script, *path, *prefix;
    ngx_http_request_t  *r;

    r = b->request;
    prefix = &b->conf->script_prefix;

    script = &b->values[NGX_HTTP_WSGI_SCRIPT_NAME];
    path = &b->values[NGX_HTTP_WSGI_PATH_INFO];

    *path = r->uri;

    if (prefix->len == 0
        || prefix->len > r->uri.len
        || ngx_strncmp(r->uri.data, prefix->data, prefix->len) != 0
        || (prefix->len < r->uri.len && r->uri.data[prefix->len] != '/'))
    {
        ngx_str_set(script, "");
        return;
    }

    script->data = r->uri.data;
    script->len = prefix->len;

    path->data += prefix->len;
    path->len -= prefix->len;
}


static ngx_int_t
ngx_http_wsgi_collect_root(ngx_http_wsgi_build_t *b)
{
    ngx_str_t                 *root;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = b->request;
    root = &b->values[NGX_HTTP_WSGI_DOCUMENT_ROOT];

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->root_lengths == NULL) {
        *root = clcf->root;
        return NGX_OK;
    }

    if (ngx_http_script_run(r, root, clcf->root_lengths->elts, 0,
                            clcf->root_values->elts)
        == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The length is of what can be read, be it that the body was chunked, or that
 * a subrequest has none.
 */

static void
ngx_http_wsgi_collect_content(ngx_http_wsgi_build_t *b)
{
    ngx_http_request_t  *r;

    r = b->request;

    if (r->headers_in.content_type) {
        b->values[NGX_HTTP_WSGI_CONTENT_TYPE] =
                                            r->headers_in.content_type->value;

        ngx_http_wsgi_trim(&b->values[NGX_HTTP_WSGI_CONTENT_TYPE]);
    }

    if (b->body_in_file && r->request_body_in_persistent_file) {
        b->values[NGX_HTTP_WSGI_BODY_FILE] =
                                       r->request_body->temp_file->file.name;
    }

    if (b->body_len == -1) {
        return;
    }

    if (b->body_len == 0
        && (!b->pass_body
            || (r->headers_in.content_length_n != 0 && !r->headers_in.chunked)))
    {
        return;
    }

    ngx_http_wsgi_number(&b->values[NGX_HTTP_WSGI_CONTENT_LENGTH], b->length,
                         b->body_len);
}


u_char *
ngx_http_wsgi_fill_vars(ngx_http_wsgi_build_t *b, nwsgi_block_t *block,
    nwsgi_var_t **var, u_char *p)
{
    uint32_t      names;
    ngx_uint_t    i;
    nwsgi_var_t  *v, *values[NGX_HTTP_WSGI_NVARS];

    names = p - (u_char *) block;

    p = ngx_cpymem(p, ngx_http_wsgi_names, sizeof(ngx_http_wsgi_names) - 1);

    for (i = 0; i < NGX_HTTP_WSGI_NVARS; i++) {

        if (b->values[i].data == NULL) {
            continue;
        }

        v = (*var)++;
        values[i] = v;

        v->hash = ngx_http_wsgi_vars[i].hash;
        v->name.off = names + ngx_http_wsgi_vars[i].name.off;
        v->name.len = ngx_http_wsgi_vars[i].name.len;

        p = ngx_http_wsgi_put(block, &v->value, p, &b->values[i]);
    }

    /* these are always there, see ngx_http_wsgi_require() */

    block->method = values[NGX_HTTP_WSGI_REQUEST_METHOD]->value;
    block->uri = values[NGX_HTTP_WSGI_REQUEST_URI]->value;
    block->client = values[NGX_HTTP_WSGI_REMOTE_ADDR]->value;

    return p;
}
