# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in Bottle."""

import hashlib

import bottle

application = bottle.Bottle()


@application.get("/page")
def page():
    return f"hello {bottle.request.query.name}"


@application.post("/form")
def form():
    return f"form {bottle.request.forms.getunicode('text')}"


@application.get("/cookie")
def cookie():
    seen = bottle.request.get_cookie("seen", "nothing")
    bottle.response.set_cookie("seen", "cookie")
    bottle.redirect(f"{bottle.request.script_name}page?name={seen}", 302)


@application.post("/upload")
def upload():
    file = bottle.request.files.get("file")
    return f"{file.filename} {hashlib.sha256(file.file.read()).hexdigest()}"


@application.get("/stream")
def stream():
    for i in range(5):
        yield f"{i},"
