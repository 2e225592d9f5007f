#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# Lengths of functions and files, in lines.  Over the target: a word of
# warning; over the cap: failure.

set -eu
cd "$(dirname "$0")/.."

ctags --version 2> /dev/null | grep -q Universal || {
    echo "check-funclen: universal-ctags is needed; ./configure --with-deps" \
         "installs it" >&2
    exit 1
}

# lengths PATTERN TARGET CAP: of the functions in the files of that name
lengths() {
    find include ngx_module python_adapter gosrc ci demo -type f \
         -name "$1" 2> /dev/null \
        | ctags -x --fields=+e --sort=no --kinds-C=f --kinds-Go=f \
                --_xformat='%{end} %{line} %{input} %{name}' -L - \
        | awk -v what="$1" -v target="$2" -v cap="$3" '
            NF == 4 {
                seen++
                len = $1 - $2 + 1
                if (len > cap) {
                    bad = 1
                }
                if (len > target) {
                    printf "%s:%d: %s() has %d lines, target %d, cap %d%s\n",
                           $3, $2, $4, len, target, cap,
                           (len > cap ? ": too long" : "")
                }
            }
            END {
                if (!seen) {
                    print "check-funclen: no function in any " what
                }
                exit bad || !seen
            }'
}

failed=0
lengths '*.c' 60 100 || failed=1
lengths '*.go' 40 70 || failed=1

# shellcheck disable=SC2046
wc -l $(find configure Makefile include ngx_module python_adapter gosrc ci \
             demo -name '*.[ch]' -o -name '*.go' -o -name '*.py' \
             -o -name '*.sh' -o -name configure 2> /dev/null) \
    | awk '
        $2 != "total" && $1 > 500 {
            printf "%s: %d lines, target 500, cap 700%s\n", $2, $1,
                   ($1 > 700 ? ": too long" : "")
        }
        $2 != "total" && $1 > 700 { bad = 1 }
        END { exit bad }' || failed=1

exit $failed
