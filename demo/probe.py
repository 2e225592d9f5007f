# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What run.sh asks the network.

probe.py free PORT         can 127.0.0.1:PORT be listened on?
probe.py open PATH PID     waits for the socket PATH, while the process lives
probe.py ready URL PID...  waits for URL to answer 200, while the processes live
"""

import signal
import socket
import sys
import time
import urllib.error
import urllib.request

LIMIT = 90  # seconds
STEP = 0.1


def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx
        try:
            s.bind(("127.0.0.1", int(port)))
        except (OSError, ValueError, OverflowError) as e:
            return getattr(e, "strerror", None) or "not a port"


def alive(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read() != ""  # empty: ended, and not waited for yet
    except OSError:
        return False


def open_socket(path, pid):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if not alive(pid):
            return "nginx has ended"
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
                return None
            except OSError as e:
                why = e.strerror
        time.sleep(STEP)
    return why


def ready(url, *pids):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + LIMIT
    why = "nothing happened"

    while time.monotonic() < deadline:
        try:
            if not all(map(alive, pids)):
                return "an nginx has ended"
            with direct.open(url, timeout=LIMIT):
                return None
        except urllib.error.HTTPError as e:
            if e.code != 502:
                return str(e)
            why = str(e)
        except OSError as e:
            why = str(e)
        time.sleep(STEP)

    return why


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit({"free": free, "open": open_socket, "ready": ready}[sys.argv[1]](*sys.argv[2:]))
