
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of the CGI variables those that say who talks to whom: names, addresses and
 * ports of server and client.
 */


#include "ngx_http_wsgi_block.h"


static ngx_int_t ngx_http_wsgi_server_addr(ngx_connection_t *c,
    ngx_str_t *addr);
static in_port_t ngx_http_wsgi_server_port(ngx_http_wsgi_build_t *b);


/* PEP 3333: neither SERVER_NAME nor SERVER_PORT is ever empty. */

ngx_int_t
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

    *name = r->headers_in.server;
    ngx_http_wsgi_trim(name);

    if (name->len) {
        return NGX_OK;
    }

    if (addr->len) {
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
    ngx_str_t            host;
    ngx_http_request_t  *r;

    r = b->request;

    port = ngx_inet_get_port(r->connection->local_sockaddr);

    if (port) {
        return port;
    }

    host = b->values[NGX_HTTP_WSGI_HTTP_HOST];

    if (host.data == NULL && r->headers_in.host) {
        host = r->headers_in.host->value;

        ngx_http_wsgi_trim(&host);
    }

    if (host.data) {
        p = host.data;
        last = p + host.len;

        while (last > p && *(last - 1) != ':' && *(last - 1) != ']') {
            last--;
        }

        if (last > p && *(last - 1) == ':') {
            p += host.len;
            n = ngx_atoi(last, p - last);

            if (n > 0 && n < 65536) {
                return (in_port_t) n;
            }
        }
    }

    return b->https ? 443 : 80;
}


void
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


void
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
