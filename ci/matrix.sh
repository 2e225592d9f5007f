#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/matrix.sh [RELEASE...]
#
# Builds everything and runs the end-to-end suite with each nginx and each
# CPython of these Debian releases (bookworm, trixie and testing): each release,
# made by ci/debootstrap.sh, brings its own Python and its own nginx, and the
# nginx of the others is built there from Debian's sources.  Goes on when a
# combination fails, tells of all of them at the end, and fails if one did.
# Sources that the mirror lacks may lie in build/sources/nginx-RELEASE.
#
# MATRIX_RUN is what "make" is given: "unit adapter e2e".

set -eu

cd "$(dirname "$0")/.."
run=${MATRIX_RUN:-unit adapter e2e}

nginx_of() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"$/\1/p' \
        "${1:-/usr/share/nginx/src}/src/core/nginx.h"
}

# cell VERSION [CONFIGURE-OPTION...]: one combination, in what is configured now
cell() {
    name="nginx $1 x $(/usr/bin/python3 -V)"
    shift

    # shellcheck disable=SC2086
    if ./configure "$@" && make all venv && make $run; then
        echo "matrix: $name: passed"
    else
        echo "matrix: $name: FAILED"
        failed=1
    fi
}

# In a Debian that has just been made: all nginx with its Python.
inside() {
    own=$1
    failed=0
    shift

    ./configure --with-deps
    cell "$(nginx_of)"

    for release; do
        if [ "$release" != "$own" ]; then
            tree=build/sources/nginx-$release
            if ci/nginx-source.sh "$tree" "$release"; then
                cell "$(nginx_of "$tree")" --with-nginx="$tree"
            else
                echo "matrix: the nginx of $release, its source: FAILED"
                failed=1
            fi
        fi
    done
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
    exit $failed
fi

test $# -gt 0 || set -- bookworm trixie testing
mkdir -p build/matrix
failed=0

for release; do
    log=build/matrix/$release.log
    echo "matrix: $release (its log is $log)"
    ci/debootstrap.sh "$release" \
        "MATRIX_RUN='$run' ci/matrix.sh --inside $release $*" > "$log" 2>&1 \
        || echo "matrix: $release: FAILED" >> "$log"
    grep '^matrix: ' "$log"
    if grep -q '^matrix: .*FAILED$' "$log"; then failed=1; fi
done

exit $failed
