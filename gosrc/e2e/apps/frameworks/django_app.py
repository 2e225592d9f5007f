# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in Django."""

import hashlib

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of a test",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()


def page(request):
    return HttpResponse(f"hello {request.GET['name']}")


def form(request):
    return HttpResponse(f"form {request.POST['text']}")


def cookie(request):
    seen = request.COOKIES.get("seen", "nothing")
    response = redirect(f"{reverse('page')}?name={seen}")
    response.set_cookie("seen", "cookie")
    return response


def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256(file.read()).hexdigest()
    return HttpResponse(f"{file.name} {digest}")


def stream(request):
    return StreamingHttpResponse(f"{i}," for i in range(5))


urlpatterns = [
    path("page", page, name="page"),
    path("form", form),
    path("cookie", cookie),
    path("upload", upload),
    path("stream", stream),
]

application = get_wsgi_application()
