# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

import os
import platform
import threading

import django


def answered_by(request):
    """For the foot of each page: who has answered."""
    return {
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
        "python": platform.python_version(),
        "django": django.get_version(),
        "server": request.environ.get("SERVER_SOFTWARE", ""),
    }
