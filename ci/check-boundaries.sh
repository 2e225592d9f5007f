#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# Who may include, import and call what: docs/design.md, "the boundaries".

set -eu
cd "$(dirname "$0")/.."

failed=0

# forbid WHY PATTERN FILE...: no line of the files may match
forbid() {
    why=$1
    pattern=$2
    shift 2
    if test $# = 0; then
        return
    elif test ! -e "$1"; then
        echo "check-boundaries: nothing to check whether $why" >&2
        failed=1
    elif grep -nHE -e "$pattern" -- "$@"; then
        echo "check-boundaries: $why" >&2
        failed=1
    fi
}

# forbid_symbol WHY PATTERN OBJECT: nor an undefined symbol of what was built
forbid_symbol() {
    if test -f "$3" && nm -D --undefined-only "$3" | grep -E -e "$2"; then
        echo "check-boundaries: $3: $1" >&2
        failed=1
    fi
}

# Names of files hold no blanks here; ci/check-style.sh sees to it.
# shellcheck disable=SC2046
{
    include='^[[:space:]]*(//)?[[:space:]]*#[[:space:]]*include[[:space:]]*'

    forbid "ngx_module does not know that Python or Go exist" \
           "${include}[<\"](Python|wsgi_|_cgo)" ngx_module/*.[ch]

    forbid "include/ needs nothing but stddef.h and stdint.h" \
           '^#[[:space:]]*include (<std([^di]|d[^e]|i[^n])|<[^s]|<s[^t]|<st[^d]|")' \
           include/*.h

    forbid "python_adapter and gosrc do not know that nginx exists" \
           "${include}[<\"](ngx_|nginx)" \
           $(find python_adapter gosrc include -name '*.[ch]' \
                  -o -name '*.go')

    forbid "only gosrc's main package crosses to C" \
           '^(import )?[[:space:]]*(_ )?"C"' \
           $(find gosrc -mindepth 2 -name '*.go')

    forbid "cpy3 is python_adapter's business" \
           '"github.com/go-python/cpy3"' $(find gosrc -name '*.go')

    forbid "testify is for tests" \
           '"github.com/stretchr/testify' \
           $(find gosrc python_adapter -name '*.go' ! -name '*_test.go' \
                  ! -path '*/e2e/*' ! -path '*/hosttest/*')

    forbid "other clients of HTTP are for the end-to-end tests" \
           '"(golang\.org/x/net|github\.com/quic-go)/' \
           $(find gosrc python_adapter -name '*.go' ! -path '*/e2e/*')
}

forbid_symbol "the module calls Python" ' _?Py[A-Z_]' \
              build/ngx_http_wsgi_module.so
forbid_symbol "the library calls nginx" ' ngx_' build/libngx_wsgi.so

exit $failed
