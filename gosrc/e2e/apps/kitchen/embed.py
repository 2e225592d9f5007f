# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What embedding an interpreter tends to break."""

import ctypes
import os
import signal
import sqlite3
import ssl
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

from .common import SLACK, note, reply, reply_json, rest


def numpy(environ, start_response):
    import numpy

    matrix = numpy.arange(6).reshape(2, 3)
    return reply_json(start_response, (matrix @ matrix.T).tolist())


def sqlite(environ, start_response):
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(os.path.join(folder, "test.db"))
        db.execute("create table t (a)")
        db.executemany("insert into t values (?)", [(i,) for i in range(10)])
        db.commit()
        total, = db.execute("select sum(a) from t").fetchone()
        db.close()
    return reply_json(start_response, total)


def tls(environ, start_response):
    """A handshake in memory: OpenSSL is nginx's and Python's at once."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return reply_json(start_response, outgoing.read()[0] == 0x16)


def c_types(environ, start_response):
    """A callback from C into Python."""
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int,
                                    ctypes.POINTER(ctypes.c_int),
                                    ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 4)(3, 1, 4, 2)
    ctypes.CDLL(None).qsort(
        numbers, 4, ctypes.sizeof(ctypes.c_int),
        compare_type(lambda a, b: a.contents.value - b.contents.value))
    return reply_json(start_response, list(numbers))


def extensions(environ, start_response):
    """Extension modules of the standard library that need libpython's
    symbols or a library of their own."""
    import array
    import bz2
    import decimal
    import hashlib
    import lzma
    import zlib

    data = b"x" * 1000
    return reply_json(start_response, [
        array.array("i", [1, 2]).tolist(),
        bz2.decompress(bz2.compress(data)) == data,
        lzma.decompress(lzma.compress(data)) == data,
        zlib.decompress(zlib.compress(data)) == data,
        str(decimal.Decimal("0.1") + decimal.Decimal("0.2")),
        hashlib.sha256(b"").hexdigest()[:8],
    ])


def app_threads(environ, start_response):
    results = []
    threads = [threading.Thread(target=results.append, args=(i,))
               for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda x: x * x, range(5)))
    return reply_json(start_response, [sorted(results), squares])


daemon = None


def daemon_thread(environ, start_response):
    """A thread that outlives its request and works on."""
    global daemon
    name, beat = rest(environ), threading.Event()

    def run():
        while True:
            note(name, threading.current_thread().name)
            beat.wait(0.01)

    daemon = threading.Thread(target=run, name="heart", daemon=True)
    daemon.start()
    return reply(start_response, "started")


local = threading.local()


def thread_local(environ, start_response):
    """Each thread of the pool has its own, and keeps it."""
    local.count = getattr(local, "count", 0) + 1
    return reply_json(start_response, [threading.get_ident(), local.count])


def thread_info(environ, start_response):
    current = threading.current_thread()
    return reply_json(start_response, {
        "name": current.name,
        "main": threading.main_thread() is current,
        "alive": threading.main_thread().is_alive(),
        "daemon": current.daemon,
        "dummy": type(current).__name__ == "_DummyThread",
        "enumerated": current in threading.enumerate(),
        "native": threading.get_native_id(),
    })


def set_signal(environ, start_response):
    before = signal.getsignal(signal.SIGTERM)
    with warnings.catch_warnings(record=True):
        result = signal.signal(signal.SIGTERM, lambda *args: None)
    return reply(start_response, f"{before!r} {result!r}")


def interpreter(environ, start_response):
    import locale
    import site
    import time

    return reply_json(start_response, {
        "argv": sys.argv,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "executable": sys.executable,
        "path": sys.path,
        "optimize": sys.flags.optimize,
        "debug": __debug__,
        "utf8_mode": sys.flags.utf8_mode,
        "filesystem": sys.getfilesystemencoding(),
        "preferred": locale.getpreferredencoding(False),
        "cwd": os.getcwd(),
        "environ": dict(os.environ),
        "site": site.getsitepackages(),
        "main": "__main__" in sys.modules,
        "tz": list(time.tzname),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "hash": sys.flags.hash_randomization,
        "interactive": sys.flags.interactive,
        "version": list(sys.version_info[:3]),
    })


def open_unicode_file(environ, start_response):
    """Names and contents are UTF-8, whatever LANG says."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "\u017elu\u0165.txt")
        with open(path, "w") as f:
            f.write("\u2603")
        with open(path) as f:
            content = f.read()
        return reply_json(start_response, [os.listdir(folder), content])


def asyncio_run(environ, start_response):
    import asyncio

    async def work():
        await asyncio.sleep(0)
        return "awaited"

    return reply(start_response, asyncio.run(work()))


def decimal_context(environ, start_response):
    import contextvars

    var = contextvars.ContextVar("var", default="unset")
    before = var.get()
    var.set("set")
    return reply(start_response, f"{before} {var.get()}")


def garbage(environ, start_response):
    import gc
    import weakref

    class Node:
        pass

    node = Node()
    node.cycle = node
    seen = weakref.ref(node)
    del node
    gc.collect()
    return reply_json(start_response, seen() is None)


def own_socket(environ, start_response):
    """The application as a client of its own server."""
    import urllib.request

    address = f"http://{environ['HTTP_HOST']}/response/plain"
    with urllib.request.urlopen(address, timeout=10 * SLACK) as response:
        return reply(start_response, response.read())


def blocks(environ, start_response):
    import gc

    gc.collect()
    return reply_json(start_response, sys.getallocatedblocks())
