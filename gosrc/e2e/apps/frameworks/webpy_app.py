# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in web.py."""

import hashlib

import web


class Page:
    def GET(self):
        return f"hello {web.input().name}"


class Form:
    def POST(self):
        return f"form {web.input().text}"


class Cookie:
    def GET(self):
        seen = web.cookies().get("seen", "nothing")
        web.setcookie("seen", "cookie")
        raise web.found(f"/page?name={seen}")


class Upload:
    def POST(self):
        file = web.input(file={}).file
        return f"{file.filename} {hashlib.sha256(file.file.read()).hexdigest()}"


class Stream:
    def GET(self):
        for i in range(5):
            yield f"{i},"


application = web.application((
    "/page", Page,
    "/form", Form,
    "/cookie", Cookie,
    "/upload", Upload,
    "/stream", Stream,
)).wsgifunc()
