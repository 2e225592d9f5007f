
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


#define NGX_HTTP_WSGI_RANDOM  16      /* bytes of $request_id */


static void ngx_http_wsgi_init_names(void);
static ngx_int_t ngx_http_wsgi_collect_request(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_request_id(ngx_http_wsgi_build_t *b);
static u_char *ngx_http_wsgi_random(void);
static void ngx_http_wsgi_collect_path(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_root(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_collect_server(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_collect_client(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_collect_content(ngx_http_wsgi_build_t *b);
static ngx_int_t ngx_http_wsgi_server_addr(ngx_connection_t *c,
    ngx_str_t *addr);
static in_port_t ngx_http_wsgi_server_port(ngx_http_wsgi_build_t *b);
static void ngx_http_wsgi_number(ngx_str_t *s, u_char *buf, uint64_t n);


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
        var->hash = nwsgi_hash(p, last - p);

        p = last + 1;
    }
}


static ngx_int_t
ngx_http_wsgi_collect_request(ngx_http_wsgi_build_t *b)
{
    ngx_str_t           *values;
    ngx_http_request_t  *r;

    r = b->request;
    values = b->values;

    values[NGX_HTTP_WSGI_REQUEST_METHOD] = r->method_name;
    values[NGX_HTTP_WSGI_REQUEST_URI] = r->unparsed_uri;
    values[NGX_HTTP_WSGI_RAW_URI] = r->unparsed_uri;
    values[NGX_HTTP_WSGI_SERVER_PROTOCOL] = r->http_protocol;

    /* entries that are there, but empty */

    if (r->args.len) {
        values[NGX_HTTP_WSGI_QUERY_STRING] = r->args;

    } else {
        ngx_str_set(&values[NGX_HTTP_WSGI_QUERY_STRING], "");
    }

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


/* Random bytes, fetched for many requests at once.  NULL: there are none. */

static u_char *
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


/* PEP 3333: neither SERVER_NAME nor SERVER_PORT is ever empty. */

static ngx_int_t
ngx_http_wsgi_collect_server(ngx_http_wsgi_build_t *b)
{
    ngx_str_t                 *name, *addr;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_srv_conf_t  *cscf;

    r = b->request;
    c = r->connection;

    ngx_http_wsgi_number(&b->values[NGX_HTTP_WSGI_SERVER_PORT], b->port,
                         ngx_http_wsgi_server_port(b));

    addr = &b->values[NGX_HTTP_WSGI_SERVER_ADDR];

    if (ngx_http_wsgi_server_addr(c, addr) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a name that is a pattern, or "_", is nobody's name */

    name = &b->values[NGX_HTTP_WSGI_SERVER_NAME];
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    *name = cscf->server_name;

    if (name->len > 1 && name->data[0] != '~'
        && ngx_strlchr(name->data, name->data + name->len, '*') == NULL)
    {
        return NGX_OK;
    }

    if (r->headers_in.server.len) {
        *name = r->headers_in.server;

    } else if (addr->len) {
        *name = *addr;

    } else {
        ngx_str_set(name, "localhost");
    }

    return NGX_OK;
}


/* Most servers have one address: its text is kept. */

static ngx_int_t
ngx_http_wsgi_server_addr(ngx_connection_t *c, ngx_str_t *addr)
{
    struct sockaddr_in  *sin;

    static u_char        text[NGX_SOCKADDR_STRLEN];
    static size_t        len;
    static in_addr_t     known;

    if (c->local_sockaddr->sa_family == AF_UNIX) {
        return NGX_OK;
    }

    /* one that is bound to all addresses is asked for its own, once */

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    sin = (struct sockaddr_in *) c->local_sockaddr;

    if (len == 0 || sin->sin_family != AF_INET
        || sin->sin_addr.s_addr != known)
    {
        len = ngx_sock_ntop(c->local_sockaddr, c->local_socklen, text,
                            NGX_SOCKADDR_STRLEN, 0);

        known = (sin->sin_family == AF_INET) ? sin->sin_addr.s_addr
                                             : INADDR_ANY;
    }

    addr->data = text;
    addr->len = len;

    return NGX_OK;
}


/* On a UNIX socket there is none but the one that the client has used. */

static in_port_t
ngx_http_wsgi_server_port(ngx_http_wsgi_build_t *b)
{
    u_char              *p, *last;
    ngx_int_t            n;
    in_port_t            port;
    ngx_str_t           *host;
    ngx_http_request_t  *r;

    r = b->request;

    port = ngx_inet_get_port(r->connection->local_sockaddr);

    if (port) {
        return port;
    }

    host = &b->values[NGX_HTTP_WSGI_HTTP_HOST];

    if (host->data == NULL && r->headers_in.host) {
        host = &r->headers_in.host->value;
    }

    if (host->data) {
        p = host->data;
        last = p + host->len;

        while (last > p && *(last - 1) != ':' && *(last - 1) != ']') {
            last--;
        }

        if (last > p && *(last - 1) == ':') {
            p += host->len;
            n = ngx_atoi(last, p - last);

            if (n > 0 && n < 65536) {
                return (in_port_t) n;
            }
        }
    }

    return b->https ? 443 : 80;
}


static void
ngx_http_wsgi_collect_client(ngx_http_wsgi_build_t *b)
{
    in_port_t            port;
    ngx_str_t           *user;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = b->request;
    c = r->connection;

    b->values[NGX_HTTP_WSGI_REMOTE_ADDR] = c->addr_text;

    port = ngx_inet_get_port(c->sockaddr);

    if (port) {
        ngx_http_wsgi_number(&b->values[NGX_HTTP_WSGI_REMOTE_PORT],
                             b->remote_port, port);
    }

    user = ngx_http_wsgi_user(r);

    if (user) {
        b->values[NGX_HTTP_WSGI_REMOTE_USER] = *user;
    }
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

    /* these are always there */

    block->method = values[NGX_HTTP_WSGI_REQUEST_METHOD]->value;
    block->uri = values[NGX_HTTP_WSGI_REQUEST_URI]->value;
    block->client = values[NGX_HTTP_WSGI_REMOTE_ADDR]->value;

    return p;
}


static void
ngx_http_wsgi_number(ngx_str_t *s, u_char *buf, uint64_t n)
{
    u_char  *p;

    p = buf + NGX_OFF_T_LEN;

    do {
        *--p = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    s->data = p;
    s->len = buf + NGX_OFF_T_LEN - p;
}
