#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/make-venv.sh PYTHON DIRECTORY
#
# Makes a virtualenv with the packages of ci/requirements.txt.  pip is used as
# it is configured on this machine.  DIRECTORY/installed marks a complete one.

set -eu

python=$1
venv=$2
here=$(dirname "$0")
want="$python $(cksum < "$here/requirements.txt")"

if [ "$(cat "$venv/installed" 2> /dev/null)" = "$want" ]; then
    touch "$venv/installed"
    exit 0
fi

rm -rf "$venv"

"$python" -m venv "$venv" || {
    echo "$python cannot make a virtualenv; Debian's package is" \
         "python3-venv, and ./configure --with-deps installs it" >&2
    exit 1
}

echo "installing the Python packages that the tests use into $venv"
"$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    --only-binary numpy -r "$here/requirements.txt"

echo "$want" > "$venv/installed"
