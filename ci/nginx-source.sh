#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/nginx-source.sh DIR [RELEASE]
#
# Fetches the sources of Debian's nginx, with apt-get, and leaves them in DIR, for
# --with-nginx=DIR: the package nginx-dev has headers only.  The nginx is the one
# installed here, or that of another release of Debian, as it was before Debian's
# patches: a mirror may lack those of the last security update.  It needs no root
# and changes nothing of the machine's apt: lists and cache are its own.

set -eu

dir=${1:?usage: ci/nginx-source.sh DIR [RELEASE]}
release=${2:-}

die() {
    echo "nginx-source: $*" >&2
    exit 1
}

test ! -f "$dir/src/core/nginx.c" || exit 0

command -v apt-get > /dev/null || die "there is no apt-get"

set -- 'Created-By: Packages' 'Origin: Debian'

if [ -n "$release" ]; then
    package=nginx
    set -- "$@" 'Label: Debian'
else
    # shellcheck disable=SC2016
    package=nginx=$(dpkg-query -W -f '${source:Version}' nginx) \
        || die "the nginx here is not Debian's"
fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tmp=$dir.tmp
rm -rf "$tmp"
mkdir -p "$tmp/lists/partial" "$tmp/cache"
trap 'rm -rf "$tmp"' EXIT

# shellcheck disable=SC2016
apt-get indextargets \
    --format "deb-src \$(REPO_URI) ${release:-\$(RELEASE)} \$(COMPONENT)" \
    "$@" | sort -u > "$tmp/sources.list"

apt() {
    apt-get -q -o Dir::Etc::sourcelist="$tmp/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$tmp/lists" \
        -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User= "$@" \
        >> "$tmp/log" 2>&1
}

cd "$tmp"
if ! apt update || ! apt source --only-source --tar-only "$package"; then
    tail -n 5 "$tmp/log" >&2
    die "the source of $package${release:+ of $release} cannot be had"
fi

tar -xf nginx_*.orig.tar.* -C "$dir" --strip-components=1
