#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# nginx takes nginx.conf.sample as it is.

set -eu
cd "$(dirname "$0")/.."

# shellcheck source=/dev/null
. build/env.sh

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir "$tmp/logs" "$tmp/modules"
cp build/ngx_http_wsgi_module.so build/libngx_wsgi.so "$tmp/modules"

"$NWSGI_NGINX" -t -q -p "$tmp" -c "$PWD/nginx.conf.sample"
