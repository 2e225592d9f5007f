# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What the endpoints share."""

import collections
import json
import os
import threading
from urllib.parse import parse_qsl

TEXT = ("Content-Type", "text/plain; charset=utf-8")

# What takes long takes longer under a sanitizer, whose runs set this.
SLACK = 4 if "PYTHONMALLOC" in os.environ else 1

# Events that one request waits for and another sets.
events = collections.defaultdict(threading.Event)

# What happened, in order, by name: for what cannot be told in the response.
notes = collections.defaultdict(list)
noted = threading.Condition()


def rest(environ):
    """What follows /group/name/ in the path."""
    return environ["PATH_INFO"].split("/", 3)[3]


def query(environ):
    """The query string as a dict, percent-decoded to latin-1."""
    return dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True,
                          encoding="latin-1"))


def wait_for(name):
    if not events[name].wait(20 * SLACK):
        raise TimeoutError(f"nobody set {name}")


def note(name, what):
    with noted:
        notes[name].append(what)
        noted.notify_all()


def reply(start_response, body, status="200 OK", headers=()):
    if isinstance(body, str):
        body = body.encode()
    start_response(status, [TEXT, *headers])
    return [body]


def reply_json(start_response, value):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]
