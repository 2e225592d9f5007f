#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the adapter's C, and writes nothing, with warnings that cgo cannot
# have: it compiles what it generates with the same flags.  The nginx module is
# always built with them.

set -eu
cd "$(dirname "$0")/.."

# shellcheck source=/dev/null
. build/env.sh

# Quotes in CGO_CPPFLAGS are meant to be seen by a shell, or by Go.
# shellcheck disable=SC2046
eval "set -- $CGO_CPPFLAGS" $(pkg-config --cflags python3)

exec "$CC" -fsyntax-only -O2 -Wall -Wextra -Werror -Wshadow \
     -Wstrict-prototypes -Wconversion "$@" python_adapter/*.c ci/*.c
