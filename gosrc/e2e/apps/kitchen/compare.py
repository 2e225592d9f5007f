# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""The application that is compared with an upstream server of nginx: what both
answer is in a header field of the request."""

import base64
import json
import os
import time


def answer(environ, start_response):
    said = environ.get("HTTP_X_SAID")
    said = json.loads(base64.b64decode(said)) if said else {"echo": True}
    while said.get("until") and not os.path.exists(said["until"]):
        time.sleep(0.005)
    if said.get("slice"):
        return part(environ["HTTP_RANGE"], said, start_response)
    if said["echo"]:
        start_response("200 OK", [])
        return [echo(environ).encode("latin-1")]
    chunks = [chunk.encode("latin-1") for chunk in said["chunks"] or ()]
    headers = [tuple(field) for field in said["fields"] or ()]
    if said["sized"]:
        headers.append(("Content-Length", str(said["length"])))
    start_response(said["status"], headers)
    return chunks if said["whole"] else pieces(chunks, said["cut"])


def echo(environ):
    body = environ["wsgi.input"].read().decode("latin-1")
    return "{} {} {} [{}] {}".format(
        environ["REQUEST_METHOD"], environ["REQUEST_URI"],
        environ.get("CONTENT_LENGTH", "-"), environ.get("HTTP_X_PROBE", ""),
        body)


def part(ranges, said, start_response):
    first, last = map(int, ranges.removeprefix("bytes=").split("-"))
    size = said["slice"]
    last = min(last, size - 1)
    if first > last:
        start_response("416 No", [("Content-Length", "0")])
        return []
    text = (b"0123456789" * (size // 10 + 1))[first:last + 1]
    start_response("206 Part", [
        ("Content-Range", f"bytes {first}-{last}/{size}"), ("ETag", '"tag"'),
        ("Content-Length", str(len(text)))])
    return [text] if said["whole"] else pieces([text[:10], text[10:]], False)


def pieces(chunks, cut):
    yield from chunks
    if cut:
        raise RuntimeError("the response ends here")
