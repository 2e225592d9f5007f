
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * "wsgi_request_buffering off": the body goes to the application while it
 * arrives.
 *
 * The loop puts pieces into the job's stream, Python threads take them in
 * host->read().  When as much waits there as client_body_buffer_size, the loop
 * reads no more, and so the client's socket fills: the thread that takes the
 * bytes asks for more by a message.
 *
 * A client that expects "100 Continue" gets it when the application reads for
 * the first time, and not before: until then nginx does not touch the body.
 */


#include "ngx_http_wsgi_module.h"


struct ngx_http_wsgi_piece_s {
    ngx_http_wsgi_piece_t          *next;
    u_char                         *pos;
    u_char                         *last;
};


static size_t ngx_http_wsgi_take_pieces(ngx_http_wsgi_stream_t *stream,
    u_char *p, size_t len);
static void ngx_http_wsgi_body_handler(ngx_http_request_t *r);
static void ngx_http_wsgi_read_handler(ngx_http_request_t *r);
static void ngx_http_wsgi_read_on(ngx_http_request_t *r,
    ngx_http_wsgi_ctx_t *ctx);
static ngx_int_t ngx_http_wsgi_put_pieces(ngx_http_request_t *r,
    ngx_http_wsgi_job_t *job, size_t *put);
static void ngx_http_wsgi_pause(ngx_http_request_t *r,
    ngx_http_wsgi_ctx_t *ctx);


/* python */

int64_t
ngx_http_wsgi_host_read(nwsgi_job_t *nj, void *buf, uint64_t len)
{
    size_t                   n;
    uint32_t                 over;
    ngx_http_wsgi_job_t     *job;
    ngx_http_wsgi_stream_t  *stream;

    job = (ngx_http_wsgi_job_t *) nj;
    stream = &job->stream;

    if (ngx_http_wsgi_is_child) {
        return NWSGI_GONE;
    }

    (void) pthread_mutex_lock(&job->mutex);

    __atomic_store_n(&job->reading, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&job->waiting, 1, __ATOMIC_SEQ_CST);

    for ( ;; ) {
        over = __atomic_load_n(&job->over, __ATOMIC_SEQ_CST);

        if (over || stream->first || stream->ended) {
            break;
        }

        ngx_http_wsgi_ask_body(job);

        (void) pthread_cond_wait(&job->cond, &job->mutex);
    }

    n = over ? 0 : ngx_http_wsgi_take_pieces(stream, buf, len);

    if (!stream->ended && stream->size <= stream->limit / 2) {
        ngx_http_wsgi_ask_body(job);
    }

    __atomic_store_n(&job->progress, ngx_http_wsgi_now(), __ATOMIC_RELEASE);
    __atomic_store_n(&job->waiting, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&job->reading, 0, __ATOMIC_SEQ_CST);

    (void) pthread_mutex_unlock(&job->mutex);

    return over ? NWSGI_GONE : (int64_t) n;
}


/* under the job's mutex */

static size_t
ngx_http_wsgi_take_pieces(ngx_http_wsgi_stream_t *stream, u_char *p,
    size_t len)
{
    size_t                  n, taken;
    ngx_http_wsgi_piece_t  *piece;

    for (taken = 0; stream->first && taken < len; taken += n) {
        piece = stream->first;

        n = ngx_min((size_t) (piece->last - piece->pos), len - taken);

        ngx_memcpy(p + taken, piece->pos, n);
        piece->pos += n;

        if (piece->pos == piece->last) {
            stream->first = piece->next;
            free(piece);
        }
    }

    if (stream->first == NULL) {
        stream->last = &stream->first;
    }

    stream->size -= taken;

    return taken;
}


/* The rest runs on the loop. */


void
ngx_http_wsgi_init_stream(ngx_http_request_t *r, ngx_http_wsgi_job_t *job)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    job->stream.last = &job->stream.first;
    job->stream.limit = clcf->client_body_buffer_size;
}


void
ngx_http_wsgi_free_stream(ngx_http_wsgi_job_t *job)
{
    ngx_http_wsgi_piece_t  *piece;

    while (job->stream.first) {
        piece = job->stream.first;
        job->stream.first = piece->next;
        free(piece);
    }
}


/*
 * The application waits for the body, or the client needs no invitation to
 * send it.
 */

void
ngx_http_wsgi_want_body(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->body_started) {

        if (r->reading_body) {
            ngx_http_wsgi_read_on(r, ctx);
        }

        return;
    }

    ctx->body_started = 1;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_wsgi_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_wsgi_finalize(r, ctx, rc);
        return;
    }

    /* nginx has replaced the handler of a response that is under way */

    if (ctx->job && ctx->head_sent) {
        r->write_event_handler = ngx_http_wsgi_write_handler;
    }

    /* the content handler has counted already; the request may be over */

    ngx_http_finalize_request(r, NGX_DONE);
}


void
ngx_http_wsgi_body_asked(ngx_http_wsgi_job_t *job)
{
    (void) pthread_mutex_lock(&job->mutex);

    job->stream.asked = 0;

    (void) pthread_mutex_unlock(&job->mutex);

    ngx_http_wsgi_want_body(job->ctx->request, job->ctx);
}


static void
ngx_http_wsgi_body_handler(ngx_http_request_t *r)
{
    ngx_http_wsgi_read_on(r, ngx_http_get_module_ctx(r, ngx_http_wsgi_module));
}


static void
ngx_http_wsgi_read_handler(ngx_http_request_t *r)
{
    ngx_http_wsgi_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wsgi_module);

    if (ctx == NULL || ctx->job == NULL) {
        return;
    }

    ngx_http_wsgi_read_on(r, ctx);
}


/*
 * As much as there is room for: as ngx_http_upstream_send_request_body().
 * nginx says that it will go on later also when its own buffers are full, which
 * are free again when they have been copied: what is left in the socket then,
 * the end of the connection included, has had its event.
 */

static void
ngx_http_wsgi_read_on(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    size_t                   size;
    ngx_int_t                rc;
    ngx_http_wsgi_stream_t  *stream;

    stream = &ctx->job->stream;

    for (rc = NGX_OK; /* void */ ; /* void */ ) {

        if (ngx_http_wsgi_put_pieces(r, ctx->job, &size) != NGX_OK) {
            ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        /* another thread only takes from it */

        if (!r->reading_body || stream->size >= stream->limit) {
            ngx_http_wsgi_pause(r, ctx);
            return;
        }

        if (rc == NGX_AGAIN && (size == 0 || !r->connection->read->ready)) {
            r->read_event_handler = ngx_http_wsgi_read_handler;
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_wsgi_finalize(r, ctx, rc);
            return;
        }
    }
}


/* Copies what nginx has read, which makes nginx's buffers free again: "put". */

static ngx_int_t
ngx_http_wsgi_put_pieces(ngx_http_request_t *r, ngx_http_wsgi_job_t *job,
    size_t *put)
{
    size_t                   size;
    ngx_buf_t               *b;
    ngx_chain_t             *cl, *next;
    ngx_http_wsgi_piece_t   *piece;
    ngx_http_wsgi_stream_t  *stream;

    stream = &job->stream;
    *put = 0;

    cl = r->request_body->bufs;
    r->request_body->bufs = NULL;

    (void) pthread_mutex_lock(&job->mutex);

    for ( /* void */ ; cl; cl = next) {
        next = cl->next;
        b = cl->buf;

        size = b->last - b->pos;
        piece = size ? ngx_alloc(sizeof(ngx_http_wsgi_piece_t) + size,
                                 r->connection->log)
                     : NULL;

        if (piece) {
            piece->next = NULL;
            piece->pos = (u_char *) (piece + 1);
            piece->last = ngx_cpymem(piece->pos, b->pos, size);

            *stream->last = piece;
            stream->last = &piece->next;
            stream->size += size;
            *put += size;

        } else if (size) {
            break;
        }

        b->pos = b->last;
        ngx_free_chain(r->pool, cl);
    }

    stream->ended = !r->reading_body;

    (void) pthread_cond_signal(&job->cond);
    (void) pthread_mutex_unlock(&job->mutex);

    return cl ? NGX_ERROR : NGX_OK;
}


/*
 * All is here, or enough until the application asks for more: meanwhile the
 * client has time.
 */

static void
ngx_http_wsgi_pause(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    ngx_event_t  *rev;

    rev = r->connection->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    if (ngx_http_wsgi_watch_client(r) != NGX_OK) {
        ngx_http_wsgi_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


/*
 * What has gone to the application is not there for who answers instead of it:
 * a proxy would announce a body, and have none to send.
 */

void
ngx_http_wsgi_forget_body(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx)
{
    if (!ctx->body_started) {
        return;
    }

    r->headers_in.content_length_n = -1;
    r->headers_in.chunked = 0;

    /* nor will the rest be read */

    if (r->reading_body) {
        r->keepalive = 0;
    }
}


void
ngx_http_wsgi_leave_body(ngx_http_request_t *r, ngx_http_wsgi_ctx_t *ctx,
    ngx_uint_t last)
{
    if (!ctx->streamed) {
        return;
    }

    /* nobody has invited the client to send the body, and nobody will */

    if (!ctx->body_started) {
        r->expect_tested = 1;
        r->keepalive = 0;
        r->lingering_close = 1;
    }

    /* the rest will not be read, and nginx will say so by closing */

    if (last && r->reading_body) {
        r->keepalive = 0;
    }
}
