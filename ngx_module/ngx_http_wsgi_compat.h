
/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * All that differs between the versions of nginx this module is built for,
 * 1.18 to 1.30, so that no other file asks for a version.
 */


#ifndef _NGX_HTTP_WSGI_COMPAT_H_INCLUDED_
#define _NGX_HTTP_WSGI_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (nginx_version < 1018000)
#error ngx_wsgi needs nginx 1.18.0 or newer
#endif

#if !(NGX_LINUX)
#error ngx_wsgi runs on Linux only
#endif


/*
 * Since 1.23 header elements of one name are linked by "next", and the fields
 * of headers_out that may repeat point to the first; before, they were arrays
 * of pointers.
 */

#if (nginx_version >= 1023000)

#define NGX_HTTP_WSGI_LINKED_HEADERS  1

#define ngx_http_wsgi_header_unlink(h)  (h)->next = NULL

#else

#define NGX_HTTP_WSGI_LINKED_HEADERS  0

#define ngx_http_wsgi_header_unlink(h)

#endif


/* Since 1.25 nginx speaks HTTP/3. */

#ifndef NGX_HTTP_VERSION_30
#define NGX_HTTP_VERSION_30  3000
#endif


/* Since 1.29 nginx sends 103 (Early Hints). */

#if (nginx_version >= 1029000)
#define NGX_HTTP_WSGI_EARLY_HINTS  1
#else
#define NGX_HTTP_WSGI_EARLY_HINTS  0
#endif


#endif /* _NGX_HTTP_WSGI_COMPAT_H_INCLUDED_ */
