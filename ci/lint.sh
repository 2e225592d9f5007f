#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# The checks that compile something or need a tool of their own.  Run by
# "make lint", after the build and the cheap checks.

set -eu
cd "$(dirname "$0")/.."

# shellcheck source=/dev/null
. build/env.sh

echo "go vet"
go vet ./gosrc/... ./python_adapter/...
go vet -tags e2e ./gosrc/e2e/...

echo "go mod tidy"
go mod tidy -diff

echo "shellcheck"
shellcheck configure .ci/run ci/*.sh
find demo gosrc -name '*.sh' -exec shellcheck {} +

if command -v ruff > /dev/null; then
    echo "ruff"
    ruff check --no-cache ci demo gosrc python_adapter
fi

echo "docs/wsgi.svg"
awk -f docs/draw.awk docs/wsgi.msc | cmp - docs/wsgi.svg
