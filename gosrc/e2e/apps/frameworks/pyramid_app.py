# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in Pyramid."""

import hashlib

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response


def page(request):
    return Response(f"hello {request.params['name']}")


def form(request):
    return Response(f"form {request.POST['text']}")


def cookie(request):
    seen = request.cookies.get("seen", "nothing")
    found = HTTPFound(request.route_url("page", _query={"name": seen}))
    found.set_cookie("seen", "cookie")
    return found


def upload(request):
    field = request.POST["file"]
    digest = hashlib.sha256(field.file.read()).hexdigest()
    return Response(f"{field.filename} {digest}")


def stream(request):
    return Response(app_iter=(f"{i},".encode() for i in range(5)))


def make_application():
    config = Configurator()
    for view in (page, form, cookie, upload, stream):
        config.add_route(view.__name__, "/" + view.__name__)
        config.add_view(view, route_name=view.__name__)
    return config.make_wsgi_app()
