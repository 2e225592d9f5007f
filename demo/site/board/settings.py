# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What a small site needs in production, and no more."""

import os
from pathlib import Path

DATA = Path(os.environ["BOARD_DATA"])  # wsgi_env in wsgi.conf

SECRET_KEY = (DATA / "secret_key").read_text()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "board",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "board.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "board.context.answered_by",
            ],
        },
    },
]

# Several workers with several threads write to one file: whoever finds it
# locked waits instead of failing at once.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "board.sqlite3",
        "OPTIONS": {"timeout": 20},
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Large uploads are written beside their final place: saving one is a rename.
MEDIA_ROOT = DATA / "files"
FILE_UPLOAD_TEMP_DIR = DATA / "tmp"

STATIC_URL = "/static/"  # the front serves them

# Standard error is nginx's error log, where each line gets its time, worker
# and request: the message alone is left to say.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"short": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "short"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}

USE_TZ = True
TIME_ZONE = "UTC"
