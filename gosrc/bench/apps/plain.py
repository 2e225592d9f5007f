# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""Applications without a framework, one a case of the benchmark."""

import functools
import os
import time

TEXT = b'Hello, World!\n'
BODY_10K = b'0123456789abcde\n' * 640
BODY_1M = b'0123456789abcde\n' * 65536
CHUNK = BODY_10K[:1024]


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


@functools.lru_cache
def large():
    return BODY_1M * 100


def body_100m(environ, start_response):
    return respond(start_response, large())


def wrapped(environ, start_response):
    file = open(environ['DOCUMENT_ROOT'] + '/file', 'rb')
    size = os.fstat(file.fileno()).st_size
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(size))])
    return environ['wsgi.file_wrapper'](file)


def chunks(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    for _ in range(10 * 1024):
        yield CHUNK


def consume(environ, start_response):
    read = environ['wsgi.input'].read
    left = int(environ['CONTENT_LENGTH'])
    while left > 0:
        block = read(65536)
        if not block:
            raise EOFError('%d bytes are missing' % left)
        left -= len(block)
    return respond(start_response, TEXT)
