
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_access: an application that decides whether a request goes on.
 *
 * Its job is a job like any other.  What differs is what becomes of the first
 * message: with a 2xx the phases of the request go on, and the rest of the
 * response is not wanted any more; any other response is sent as it is.
 *
 * The handler is the last one of its phase.  So nginx's own checks, which cost
 * little, come first, and with "satisfy any" a refusal is known to be the last
 * word, so that the application's own answer can be sent.
 */


#include "ngx_http_wsgi_zone.h"


static ngx_int_t ngx_http_wsgi_access_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_wsgi_judge(ngx_http_wsgi_ctx_t *ctx,
    ngx_http_wsgi_message_t *m);
static ngx_int_t ngx_http_wsgi_allow(ngx_http_wsgi_ctx_t *ctx,
    ngx_str_t *user);


ngx_int_t
ngx_http_wsgi_init_access(ngx_conf_t *cf)
{
    ngx_str_t                   name = ngx_string("remote_user");
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wsgi_module);

    if (!mcf->access) {
        return NGX_OK;
    }

    mcf->remote_user = ngx_http_get_variable_index(cf, &name);

    if (mcf->remote_user == NGX_ERROR) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    /* nginx runs them from the end: the first is the last */

    h = handlers->elts;

    ngx_memmove(h + 1, h, (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_http_wsgi_access_handler;

    return NGX_OK;
}


/* Called for main requests only: nginx has subrequests skip the phase. */

static ngx_int_t
ngx_http_wsgi_access_handler(ngx_http_request_t *r)
{
    ngx_http_wsgi_ctx_t       *ctx;
    ngx_http_wsgi_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wsgi_module);

    if (wlcf->access == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (ctx && ctx->access) {
        return ctx->verdict;
    }

    ctx = ngx_http_wsgi_create_ctx(r, wlcf->access);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->access = 1;
    ctx->verdict = NGX_DONE;

    ngx_http_wsgi_run(r);

    /* the request may be no more */

    return NGX_DONE;
}


ngx_int_t
ngx_http_wsgi_decide(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->verdict = ngx_http_wsgi_judge(ctx, m);

    if (ctx->verdict == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "wsgi access: %i, user \"%V\"", ctx->verdict, &ctx->user);

    ctx->status = m->status;

    ngx_http_wsgi_free_message(m);
    ngx_http_wsgi_detach(ctx);
    ngx_http_wsgi_flight_answered(ctx);

    /* as ngx_http_handler() has left them */

    r->connection->log->action = NULL;
    ngx_http_wsgi_unwatch_client(r);
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);

    return NGX_OK;
}


/* Its answer is the end of the request, so nobody else will read the body. */

void
ngx_http_wsgi_refuse_body(ngx_http_request_t *r)
{
    r->expect_tested = 1;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
        return;
    }

    (void) ngx_http_wsgi_watch_client(r);
}


/* What to tell the access phase; NGX_DECLINED: nothing, it is the answer. */

static ngx_int_t
ngx_http_wsgi_judge(ngx_http_wsgi_ctx_t *ctx, ngx_http_wsgi_message_t *m)
{
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;

    if (m->status >= NGX_HTTP_OK && m->status < NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_wsgi_allow(ctx, &m->user);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* somebody asked for a password: then a client is to be asked for it */

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY
        && m->status == NGX_HTTP_FORBIDDEN
        && r->access_code == NGX_HTTP_UNAUTHORIZED)
    {
        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_wsgi_allow(ngx_http_wsgi_ctx_t *ctx, ngx_str_t *user)
{
    ngx_http_request_t         *r;
    ngx_http_variable_value_t  *vv;
    ngx_http_wsgi_main_conf_t  *mcf;

    r = ctx->request;

    if (user->len == 0) {
        return NGX_OK;
    }

    ctx->user.data = ngx_pstrdup(r->pool, user);
    if (ctx->user.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->user.len = user->len;

    /*
     * $remote_user is computed from what the client has sent each time, so it
     * is the value that has to be set; as with auth_request_set, it outlives
     * internal redirects
     */

    mcf = ngx_http_get_module_main_conf(r, ngx_http_wsgi_module);

    vv = &r->variables[mcf->remote_user];

    vv->len = user->len;
    vv->data = ctx->user.data;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;

    return NGX_OK;
}


/*
 * Who the client is does not change with an internal redirect, which forgets
 * the contexts, nor in subrequests.
 */

ngx_str_t *
ngx_http_wsgi_user(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_wsgi_ctx_t        *ctx;
    ngx_http_wsgi_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_wsgi_module);

    if (!mcf->access) {
        return NULL;
    }

    cln = r->pool->cleanup;

    while ((ctx = ngx_http_wsgi_next_ctx(&cln)) != NULL) {
        if (ctx->user.len) {
            return &ctx->user;
        }
    }

    return NULL;
}
