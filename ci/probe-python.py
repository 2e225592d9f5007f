#!/usr/bin/env python3
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Tells configure, in shell assignments, about the CPython that runs this.

It uses nothing newer than Python 3.0, so that an old one can be refused with
a sentence.
"""

import os
import shlex
import sys
import sysconfig

OLDEST = (3, 9)
NEWEST = (3, 14)

# Pure-Python code in libpython.so against the executable python3 of the same
# package; measured, see docs/design.md.
DEBIAN_COST = {
    (3, 11): "27 to 50 %",
    (3, 13): "85 %",
}


def refused():
    """Why this interpreter can't be embedded; '' if it can."""
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython":
        return "it is %s, and only CPython can be embedded" % (
            sys.implementation.name
        )
    if version < OLDEST or version > NEWEST:
        return "it is Python %d.%d, and 3.9 to 3.14 are supported" % version
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it is a free-threaded build, which is not supported"
    return ""


def library(names):
    """The full path of the shared library; '' if there is none.

    A relocated build does not know where it is, so places near the
    executable count as well as those that it was configured with.
    """
    executable = os.path.realpath(sys.executable)
    base = getattr(sys, "base_exec_prefix", sys.exec_prefix)
    libdir = sysconfig.get_config_var("LIBDIR") or ""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    places = [
        os.path.join(base, "lib"),
        libdir,
        os.path.join(libdir, multiarch),
        os.path.join(os.path.dirname(os.path.dirname(executable)), "lib"),
        os.path.join(base, "lib", multiarch),
        sysconfig.get_config_var("LIBPL") or "",
    ]
    for place in places:
        for name in names:
            path = os.path.join(place, name)
            if place and os.path.isfile(path):
                return path
    return ""


def speed(path):
    """What is known of how the library was compiled, for the user to read."""
    args = sysconfig.get_config_var("CONFIG_ARGS") or ""
    flags = " ".join(
        sysconfig.get_config_var(name) or ""
        for name in ("PY_CFLAGS", "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS")
    )
    debian = path.startswith("/usr/lib/") and os.path.isfile(
        "/etc/debian_version"
    )
    pgo = "--enable-optimizations" in args or "-fprofile-use" in flags
    lto = "--with-lto" in args or "-flto" in flags

    if debian:
        cost = DEBIAN_COST.get(sys.version_info[:2], "30 to 80 %")
        return (
            "Debian compiles this library without the profile-guided\n"
            "optimization that its python3 has: pure Python runs about %s\n"
            "longer (web frameworks 8 to 18 %%); --with-python= takes others"
            % cost
        )
    if pgo and lto:
        return "built with profile-guided (PGO) and link-time optimization"
    if pgo:
        return "built with profile-guided optimization (PGO), without LTO"
    return (
        "built without profile-guided optimization: pure Python runs 30 to\n"
        "80 %% longer than in a build with --enable-shared\n"
        "--enable-optimizations --with-lto" % ()
    )


def main():
    """Prints the assignments."""
    version = "%d.%d" % sys.version_info[:2]
    soname = "libpython%s.so" % (
        sysconfig.get_config_var("LDVERSION") or version
    )
    path = library([soname, soname + ".1.0"])
    base = getattr(sys, "_base_executable", None) or sys.executable
    answers = {
        "refused": refused(),
        "version": "%d.%d.%d" % sys.version_info[:3],
        "short": version,
        "executable": base,
        "include": sysconfig.get_path("include"),
        "platinclude": sysconfig.get_path("platinclude"),
        "soname": soname,
        "library": path,
        "speed": speed(path),
    }
    for name, value in sorted(answers.items()):
        print("py_%s=%s" % (name, shlex.quote(value)))


main()
