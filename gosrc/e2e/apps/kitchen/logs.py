# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that ends up in the error log."""

import logging
import sys
import threading
import traceback
import warnings

from .common import reply

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
logger = logging.getLogger("kitchen")
logger.addHandler(handler)
logger.setLevel(logging.DEBUG)
logger.propagate = False


def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    stream.write("errors first\nerrors second\n")
    stream.writelines(["errors third\n", "errors ", "fourth\n"])
    stream.flush()
    print("errors printed", file=stream)
    return reply(start_response, "logged")


def streams(environ, start_response):
    print("stdout printed")
    print("stderr printed", file=sys.stderr)
    sys.stderr.write("stderr ")
    sys.stderr.write("in pieces\n")
    return reply(start_response, "logged")


def unended(environ, start_response):
    """A line without an end is logged when the request has ended."""
    environ["wsgi.errors"].write("errors without an end")
    print("stdout without an end", end="")
    return reply(start_response, "logged")


def records(environ, start_response):
    logger.warning("a warning of %s", "logging")
    try:
        raise LookupError("for logging")
    except LookupError:
        logger.exception("an exception of logging")
    return reply(start_response, "logged")


def unicode(environ, start_response):
    text = "\u017elu\u0165ou\u010dk\u00fd \u2603 \U0001f40d"
    print("print", text)
    environ["wsgi.errors"].write(f"errors {text}\n")
    print("lone \udcff surrogate")
    return reply(start_response, text)


def traceback_printed(environ, start_response):
    try:
        raise ValueError("shown by traceback")
    except ValueError:
        traceback.print_exc()
    return reply(start_response, "logged")


def thread_fails(environ, start_response):
    def run():
        raise ValueError("in a thread of the application")

    thread = threading.Thread(target=run, name="failing-thread")
    thread.start()
    thread.join()
    return reply(start_response, "logged")


def thread_prints(environ, start_response):
    thread = threading.Thread(target=print, args=("printed by a thread",))
    thread.start()
    thread.join()
    return reply(start_response, "logged")


def warning(environ, start_response):
    warnings.warn("a warning of warnings", RuntimeWarning, stacklevel=1)
    return reply(start_response, "logged")


def unraisable(environ, start_response):
    class Bad:
        def __del__(self):
            raise ValueError("in __del__")

    Bad()
    return reply(start_response, "logged")


def long_line(environ, start_response):
    print("begin-" + "x" * 10000 + "-end")
    return reply(start_response, "logged")


def long_unicode(environ, start_response):
    for i in range(4):
        print("wide-" + "-" * i + "\u2603" * 3000)
    return reply(start_response, "logged")


def many_lines(environ, start_response):
    for i in range(500):
        print("many", i)
    return reply(start_response, "logged")


def forged(environ, start_response):
    """Looks like a line of nginx's own."""
    environ["wsgi.errors"].write("first\n2026/01/01 00:00:00 [alert] 1#1: forged\n")
    return reply(start_response, "logged")


def chained(environ, start_response):
    try:
        raise KeyError("the cause")
    except KeyError as exc:
        raise ValueError("the effect") from exc


def streams_are_text(environ, start_response):
    return reply(start_response, " ".join([
        sys.stdout.encoding, sys.stderr.encoding, str(sys.stdout.isatty()),
        str(sys.stderr.writable()),
    ]).lower())
