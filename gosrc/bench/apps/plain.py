# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""Applications without a framework, one a case of the benchmark."""

import time

TEXT = b'Hello, World!\n'
BODY_10K = b'0123456789abcde\n' * 640
BODY_1M = b'0123456789abcde\n' * 65536


def respond(start_response, body):
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


def hello(environ, start_response):
    return respond(start_response, TEXT)


def body_10k(environ, start_response):
    return respond(start_response, BODY_10K)


def body_1m(environ, start_response):
    return respond(start_response, BODY_1M)


def echo(environ, start_response):
    size = int(environ['CONTENT_LENGTH'])
    return respond(start_response, environ['wsgi.input'].read(size))


def sleep(environ, start_response):
    time.sleep(0.02)
    return respond(start_response, TEXT)
