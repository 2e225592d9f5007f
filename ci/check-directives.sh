#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# A directive is declared in a command table, documented in docs/directives.md
# and shown in nginx.conf.sample: in all three or in none.

set -eu
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Tables only: variables have names of the same form.
sed -n '/^static ngx_command_t/,/^};/p' ngx_module/*.c \
    | sed -n 's/^ *{ *ngx_string("\(wsgi_[a-z_]*\)").*/\1/p' \
    | sort -u > "$tmp/code"

sed -n 's/^## \(wsgi_[a-z_]*\)$/\1/p' docs/directives.md \
    | sort > "$tmp/headings"
sort -u "$tmp/headings" > "$tmp/documents"

sed -n 's/^[ #]*\(wsgi_[a-z_]*\) .*;.*/\1/p' nginx.conf.sample \
    | sort -u > "$tmp/sample"

failed=0

# differ FILE OTHER SENTENCE: names in one and not in the other
differ() {
    for name in $(comm -23 "$tmp/$1" "$tmp/$2"); do
        echo "check-directives: $name $3" >&2
        failed=1
    done
}

for list in code documents sample; do
    test -s "$tmp/$list" || {
        echo "check-directives: no directive found in the $list" >&2
        exit 1
    }
done

differ code documents "is not in docs/directives.md"
differ code sample "is not in nginx.conf.sample"
differ documents code "is documented, but there is no such directive"
differ sample code "is in nginx.conf.sample, but there is no such directive"

for name in $(uniq -d "$tmp/headings"); do
    echo "check-directives: $name is documented twice" >&2
    failed=1
done

# Each is documented in nginx's form.
awk '
    function verify() {
        if (name && (!s || !d || !c)) {
            printf "check-directives: %s lacks Syntax, Default or Context\n",
                   name
            bad = 1
        }
    }
    /^## / { verify(); name = ""; s = d = c = 0 }
    /^## wsgi_/ { name = $2 }
    /Syntax/ { s = 1 }
    /Default/ { d = 1 }
    /Context/ { c = 1 }
    END { verify(); exit bad }' docs/directives.md >&2 || failed=1

exit $failed
