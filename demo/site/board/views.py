# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

import logging
import os
import threading
import time

from django.contrib import messages
from django.http import FileResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from .forms import NoteForm
from .models import Note

log = logging.getLogger(__name__)

NOTES = 60  # on the board; older ones stay in the database
TICKS = 12
TICK = 0.5  # seconds

REMARKS = {
    "HTTP_HOST": "proxy_set_header Host: what the browser asked the front for",
    "HTTP_X_FORWARDED_FOR": "added by the front",
    "HTTP_X_FORWARDED_PROTO": "added by the front",
    "PATH_INFO": "the whole path: wsgi_script_name is off",
    "REMOTE_ADDR": "the browser's, by realip; the socket has no address",
    "SERVER_SOFTWARE": "the nginx that Python runs in",
    "nginx.disconnected": "to be called: has the client gone?",
    "wsgi.file_wrapper": "what a download is handed to",
    "wsgi.input": "the request's body",
    "wsgi.multiprocess": "more than one worker process",
    "wsgi.multithread": "more than one thread in each",
    "wsgi.url_scheme": "the front's, by wsgi_param",
}


@require_http_methods(["GET", "HEAD", "POST"])
def board(request):
    form = NoteForm(
        request.POST or None,
        request.FILES or None,
        initial={"author": request.session.get("author", "")},
    )

    if request.method == "POST" and form.is_valid():
        note = form.save()
        request.session["author"] = note.author
        messages.success(request, f"Your note is on the board, {note.author}.")
        log.info("note %d by %r", note.pk, note.author)
        return redirect("board")

    return render(
        request,
        "board/board.html",
        {"form": form, "notes": Note.objects.all()[:NOTES]},
        status=400 if form.errors else 200,
    )


@require_safe
def download(request, pk):
    note = get_object_or_404(Note.objects.exclude(file=""), pk=pk)
    return FileResponse(open(note.file.path, "rb"), as_attachment=True)


@require_safe
def stream(request):
    return render(request, "board/stream.html", {"ticks": TICKS, "tick": TICK})


@require_safe
def events(request):
    """Server-sent events: each yield is on its way before the next begins."""
    return StreamingHttpResponse(
        ticks(),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


def ticks():
    who = f"worker {os.getpid()}, thread {threading.current_thread().name}"
    n = 0
    try:
        for n in range(1, TICKS + 1):
            yield f"data: {n} of {TICKS} at {time.strftime('%X')} by {who}\n\n"
            time.sleep(TICK)
        yield "event: end\ndata: that was all\n\n"
    except GeneratorExit:  # close(), which is called whatever happens
        log.info("the listener left after chunk %d of %d", n, TICKS)
        raise


@require_safe
def environ(request):
    rows = [
        (
            key,
            type(value).__name__,
            value if isinstance(value, str) else repr(value),
            REMARKS.get(key, ""),
        )
        for key, value in sorted(request.environ.items())
    ]
    return render(request, "board/environ.html", {"rows": rows})


@require_safe
def errors(request):
    return render(request, "board/errors.html")


@require_safe
def error_raise(request):
    shelf = {"cork": 1, "pins": 12}
    return shelf["thumbtacks"]


@require_safe
def error_halfway(request):
    """Fails when the head has been sent and "200 OK" cannot be taken back."""

    def body():
        yield "This response promises more than it keeps:\n"
        raise RuntimeError("the application failed halfway through its response")

    return StreamingHttpResponse(body(), content_type="text/plain")


@require_safe
def error_stuck(request):
    """Polls for what never comes; wsgi_timeout ends that, here with 504."""
    while True:
        time.sleep(0.1)
