# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""Django with one view and two of its usual middlewares."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=['*'],
    ROOT_URLCONF=__name__,
    SECRET_KEY='of a benchmark',
    MIDDLEWARE=['django.middleware.security.SecurityMiddleware',
                'django.middleware.common.CommonMiddleware'],
)


def hello(request):
    return HttpResponse(b'Hello, World!\n', content_type='text/plain')


urlpatterns = [path('', hello)]
application = get_wsgi_application()
