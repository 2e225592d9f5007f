# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in Flask; the other modules here have the same."""

import hashlib

import flask

application = flask.Flask(__name__)


@application.get("/page")
def page():
    return f"hello {flask.request.args['name']}"


@application.post("/form")
def form():
    return f"form {flask.request.form['text']}"


@application.get("/cookie")
def cookie():
    seen = flask.request.cookies.get("seen", "nothing")
    response = flask.redirect(flask.url_for("page", name=seen))
    response.set_cookie("seen", "cookie")
    return response


@application.post("/upload")
def upload():
    file = flask.request.files["file"]
    return f"{file.filename} {hashlib.sha256(file.read()).hexdigest()}"


@application.get("/stream")
def stream():
    return application.response_class(f"{i}," for i in range(5))
