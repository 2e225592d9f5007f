# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""Flask with one route and nothing else."""

from flask import Flask

application = Flask(__name__)


@application.get('/')
def hello():
    return 'Hello, World!\n', {'Content-Type': 'text/plain'}
