# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Events and notes: how a test steers one request with another."""

import sys

from .common import SLACK, events, noted, notes, query, reply, reply_json, rest, wait_for


def set(environ, start_response):
    events[rest(environ)].set()
    return reply(start_response, "set")


def wait(environ, start_response):
    wait_for(rest(environ))
    return reply(start_response, "came")


def runs(environ, start_response):
    """Does a thread run a function of this name?"""
    names = {frame.f_code.co_name for frame in sys._current_frames().values()}
    return reply_json(start_response, rest(environ) in names)


def notes_of(environ, start_response):
    """The notes of a name, when there are at least "n" of them."""
    name, count = rest(environ), int(query(environ).get("n", 0))
    with noted:
        noted.wait_for(lambda: len(notes[name]) >= count, 15 * SLACK)
        return reply_json(start_response, notes[name])
