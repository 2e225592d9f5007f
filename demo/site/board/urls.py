# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

from django.urls import path

from . import views

urlpatterns = [
    path("", views.board, name="board"),
    path("files/<int:pk>/", views.download, name="download"),
    path("stream/", views.stream, name="stream"),
    path("stream/events", views.events, name="events"),
    path("environ/", views.environ, name="environ"),
    path("errors/", views.errors, name="errors"),
    path("errors/raise", views.error_raise, name="error-raise"),
    path("errors/halfway", views.error_halfway, name="error-halfway"),
    path("errors/stuck", views.error_stuck, name="error-stuck"),
]
