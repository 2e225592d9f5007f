#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# What can be said of the looks of a file without compiling it.

set -eu
cd "$(dirname "$0")/.."

# gofmt is beside the go that configure has chosen, not always on PATH
# shellcheck source=/dev/null
. build/env.sh

failed=0

complain() {
    echo "check-style: $*" >&2
    failed=1
}

# forbid WHY PATTERN FILE...: no line of the files may match
forbid() {
    why=$1
    pattern=$2
    shift 2
    if grep -nHE -e "$pattern" -- "$@"; then
        complain "$why"
    fi
}

files=$(find configure Makefile .ci ngx_module include python_adapter gosrc \
             ci demo -type f ! -name '*.pyc' ! -path '*/testdata/*' \
             ! -path '*/seeds/*' \
             2> /dev/null | LC_ALL=C sort)
c_files=$(echo "$files" | grep '\.[ch]$')
go_files=$(echo "$files" | grep '\.go$')

case $files in
*" "*) complain "a file has a blank in its name" ;;
esac

# shellcheck disable=SC2086
{
    forbid "no tabs in C" '	' $c_files
    forbid "80 columns in C" '^.{81}' $c_files
    forbid "no trailing blanks" '[[:blank:]]$' $c_files
    forbid "comments in C are /* */" '^[[:space:]]*//' $c_files

    # Two blank lines between functions, and never more.
    awk '
        function complain(what) {
            printf "%s:%d: %s\n", FILENAME, FNR, what
            bad = 1
        }
        FNR == 1 { blank = 0; after = 0; wrong = 0 }
        /^$/ {
            if (++blank == 3) {
                complain("more than two blank lines")
            }
            next
        }
        after && blank != 2 && !/^#(endif|else|elif)/ {
            complain("two blank lines belong between top-level items")
        }
        { blank = 0; after = /^}$/ }
        END { exit bad }' $c_files || failed=1

    wrong=$(gofmt -l $go_files) || failed=1
    test -z "$wrong" || complain "gofmt would change: $wrong"

    for file in $files; do
        test -s "$file" || continue
        case $file in
        *.c | *.h | *.go | *.py | *.sh | configure | Makefile)
            head -n 6 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' \
                || complain "$file has no licence line" ;;
        esac
        test -z "$(tail -c 1 "$file")" \
            || complain "$file does not end with a newline"
    done
}

exit $failed
