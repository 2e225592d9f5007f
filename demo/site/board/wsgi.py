# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What "wsgi_pass board.wsgi" calls.  Nothing in here knows of nginx."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
