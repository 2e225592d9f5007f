
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_max_requests, wsgi_max_lifetime, wsgi_max_rss: a worker that has had
 * enough asks to be replaced.
 */


#include "ngx_http_wsgi_module.h"


#define NGX_HTTP_WSGI_RECYCLE_TICK  1000

/* less is meant to be something else */

#define NGX_HTTP_WSGI_MIN_RSS  (1024 * 1024)


typedef struct {
    uint64_t                        requests;          /* that have ended */
    uint64_t                        max_requests;      /* 0: no limit */
    uint64_t                        max_lifetime;      /* msec */
    uint64_t                        max_rss;           /* bytes */
    uint64_t                        started;           /* msec */
    ngx_event_t                     timer;
} ngx_http_wsgi_recycle_t;


static off_t ngx_http_wsgi_parse_limit(ngx_http_wsgi_unit_e unit,
    u_char *p, size_t len);
static uint64_t ngx_http_wsgi_draw_limit(ngx_http_wsgi_limit_t *limit);
static void ngx_http_wsgi_check_first_rss(ngx_http_wsgi_recycle_t *self);
static void ngx_http_wsgi_check_requests(ngx_http_wsgi_recycle_t *self);
static void ngx_http_wsgi_recycle_timer(ngx_event_t *ev);
static uint64_t ngx_http_wsgi_rss(ngx_log_t *log);


static ngx_http_wsgi_recycle_t  ngx_http_wsgi_recycle;


char *
ngx_http_wsgi_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t              *value;
    ngx_http_wsgi_unit_e    unit;
    ngx_http_wsgi_limit_t  *limit;

    limit = (ngx_http_wsgi_limit_t *) (p + cmd->offset);
    unit = *(ngx_http_wsgi_unit_e *) cmd->post;

    if (limit->set) {
        return "is duplicate";
    }

    limit->set = 1;

    value = cf->args->elts;

    limit->value = ngx_http_wsgi_parse_limit(unit, value[1].data,
                                             value[1].len);

    if (limit->value == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (unit == NGX_HTTP_WSGI_UNIT_SIZE
        && limit->value && limit->value < NGX_HTTP_WSGI_MIN_RSS)
    {
        return "must be 0 or at least 1m";
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    limit->jitter = NGX_ERROR;

    if (value[2].len > 7 && ngx_strncmp(value[2].data, "jitter=", 7) == 0) {
        limit->jitter = ngx_http_wsgi_parse_limit(unit, value[2].data + 7,
                                                  value[2].len - 7);
    }

    if (limit->jitter == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (limit->value == 0) {
        return "has a jitter, but no limit";
    }

    return NGX_CONF_OK;
}


static off_t
ngx_http_wsgi_parse_limit(ngx_http_wsgi_unit_e unit, u_char *p, size_t len)
{
    ngx_str_t  s;

    s.data = p;
    s.len = len;

    switch (unit) {

    case NGX_HTTP_WSGI_UNIT_TIME:
        return ngx_parse_time(&s, 0);

    case NGX_HTTP_WSGI_UNIT_SIZE:
        return ngx_parse_offset(&s);

    default: /* NGX_HTTP_WSGI_UNIT_COUNT */
        return ngx_atoof(p, len);
    }
}


void
ngx_http_wsgi_recycle_start(ngx_cycle_t *cycle,
    ngx_http_wsgi_main_conf_t *mcf)
{
    ngx_http_wsgi_recycle_t  *self;

    self = &ngx_http_wsgi_recycle;

    self->started = ngx_http_wsgi_now();

    self->max_requests = ngx_http_wsgi_draw_limit(&mcf->max_requests);
    self->max_lifetime = ngx_http_wsgi_draw_limit(&mcf->max_lifetime);
    self->max_rss = ngx_http_wsgi_draw_limit(&mcf->max_rss);

    self->timer.handler = ngx_http_wsgi_recycle_timer;
    self->timer.data = self;
    self->timer.log = cycle->log;
    self->timer.cancelable = 1;

    if (self->max_rss) {
        ngx_http_wsgi_check_first_rss(self);
    }

    if (self->max_lifetime || self->max_rss) {
        ngx_add_timer(&self->timer, NGX_HTTP_WSGI_RECYCLE_TICK);
    }

    /* requests are served before all imports have ended */

    ngx_http_wsgi_check_requests(self);
}


/* nginx has seeded random() with the pid and the time. */

static uint64_t
ngx_http_wsgi_draw_limit(ngx_http_wsgi_limit_t *limit)
{
    uint64_t  r;

    r = (uint64_t) ngx_random() << 31 | ngx_random();

    return limit->value + r % ((uint64_t) limit->jitter + 1);
}


/* A limit below that would have workers replaced one after the other. */

static void
ngx_http_wsgi_check_first_rss(ngx_http_wsgi_recycle_t *self)
{
    uint64_t  rss;

    rss = ngx_http_wsgi_rss(self->timer.log);

    if (rss >= self->max_rss) {
        ngx_log_error(NGX_LOG_ERR, self->timer.log, 0,
                      "wsgi: this worker has %uLm of resident memory before "
                      "its first request, \"wsgi_max_rss\" is too small and "
                      "ignored", rss >> 20);

        self->max_rss = 0;
    }
}


void
ngx_http_wsgi_recycle_request(void)
{
    ngx_http_wsgi_recycle_t  *self;

    self = &ngx_http_wsgi_recycle;

    self->requests++;

    ngx_http_wsgi_check_requests(self);
}


static void
ngx_http_wsgi_check_requests(ngx_http_wsgi_recycle_t *self)
{
    u_char  reason[NGX_HTTP_WSGI_MAX_REASON];

    if (self->max_requests == 0 || self->requests < self->max_requests) {
        return;
    }

    self->max_requests = 0;

    (void) ngx_snprintf(reason, sizeof(reason),
                        "it has served %uL requests (\"wsgi_max_requests\")%Z",
                        self->requests);

    ngx_http_wsgi_drain((char *) reason, 0);
}


static void
ngx_http_wsgi_recycle_timer(ngx_event_t *ev)
{
    u_char                    reason[NGX_HTTP_WSGI_MAX_REASON];
    uint64_t                  age, rss;
    ngx_http_wsgi_recycle_t  *self;

    self = ev->data;

    age = ngx_http_wsgi_now() - self->started;

    if (self->max_lifetime && age >= self->max_lifetime) {
        (void) ngx_snprintf(reason, sizeof(reason),
                            "it is %uLs old (\"wsgi_max_lifetime\")%Z",
                            age / 1000);

        ngx_http_wsgi_drain((char *) reason, 0);
        return;
    }

    rss = self->max_rss ? ngx_http_wsgi_rss(ev->log) : 0;

    if (self->max_rss && rss >= self->max_rss) {
        (void) ngx_snprintf(reason, sizeof(reason),
                            "it has %uLm of resident memory "
                            "(\"wsgi_max_rss\")%Z", rss >> 20);

        ngx_http_wsgi_drain((char *) reason, 0);
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_WSGI_RECYCLE_TICK);
}


/* Bytes; 0: not known.  See proc_pid_statm(5). */

static uint64_t
ngx_http_wsgi_rss(ngx_log_t *log)
{
    char            text[128];
    ssize_t         n;
    ngx_fd_t        fd;
    unsigned long   total, resident;

    fd = open("/proc/self/statm", O_RDONLY|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "wsgi: open(\"/proc/self/statm\") failed");
        return 0;
    }

    n = read(fd, text, sizeof(text) - 1);

    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    text[n] = '\0';

    if (sscanf(text, "%lu %lu", &total, &resident) != 2) {
        return 0;
    }

    return (uint64_t) resident * ngx_pagesize;
}
