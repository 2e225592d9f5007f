# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in Falcon."""

import hashlib

import falcon


class Page:
    def on_get(self, req, resp):
        resp.text = f"hello {req.get_param('name')}"


class Form:
    def on_post(self, req, resp):
        resp.text = f"form {req.get_media()['text']}"


class Cookie:
    def on_get(self, req, resp):
        seen = req.cookies.get("seen", "nothing")
        resp.set_cookie("seen", "cookie", secure=False)
        raise falcon.HTTPFound(f"{req.prefix}/page?name={seen}")


class Upload:
    def on_post(self, req, resp):
        for part in req.get_media():
            digest = hashlib.sha256(part.stream.read()).hexdigest()
            resp.text = f"{part.filename} {digest}"


class Stream:
    def on_get(self, req, resp):
        resp.stream = (f"{i},".encode() for i in range(5))


application = falcon.App()
application.add_route("/page", Page())
application.add_route("/form", Form())
application.add_route("/cookie", Cookie())
application.add_route("/upload", Upload())
application.add_route("/stream", Stream())
