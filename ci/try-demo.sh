#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/try-demo.sh COMMAND
#
# Runs the command of the README that starts the demo, waits for its page,
# presses Ctrl-C, and sees that both nginx have gone.

set -eu

url=http://127.0.0.1:8080/
limit=900

# A shell starts background jobs with SIGINT ignored, a terminal does not.
env --default-signal=INT setsid sh -c "$1" < /dev/null &
demo=$!

end() {
    kill -s "$1" -- "-$demo" 2> /dev/null
}
trap 'end KILL || true' EXIT

until curl -fsSL -o /dev/null "$url" 2> /dev/null; do
    kill -0 $demo 2> /dev/null || { echo "the demo has ended by itself" >&2
                                    exit 1; }
    limit=$((limit - 1))
    test $limit -gt 0 || { echo "no answer at $url" >&2; exit 1; }
    sleep 1
done

curl -fsSL "$url" | head -n 3
end INT

wait $demo || true
trap - EXIT

if end 0; then
    echo "Ctrl-C has left a process behind" >&2
    exit 1
fi
if curl -s -o /dev/null "$url"; then
    echo "something still answers at $url" >&2
    exit 1
fi
echo "the demo has answered, and has ended at Ctrl-C"
