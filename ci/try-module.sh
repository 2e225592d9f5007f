#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/try-module.sh asan|tsan|valgrind
#
# Runs the nginx module under a checker, with the stub runtime, so that what is
# found is the module's and neither Go's nor Python's.  Builds both in
# build/try-module; nginx is the one that configure has found.

set -eu
cd "$(dirname "$0")/.."

checker=${1:?usage: ci/try-module.sh asan|tsan|valgrind}
root=$PWD
dir=$root/build/try-module
port=${PORT:-8091}
url=http://127.0.0.1:$port

# shellcheck source=/dev/null
. build/env.sh

flags='-g -O1 -fno-omit-frame-pointer -isystem src/core -isystem src/event
       -isystem src/os/unix -isystem src/http -isystem src/http/modules
       -isystem src/http/v2 -isystem objs'
run=
pool=

case $checker in
asan) flags="$flags -fsanitize=address,undefined"
      pool="-include $root/ci/asan_pool.h"
      ASAN_OPTIONS=abort_on_error=0:exitcode=9:detect_leaks=0
      run="env LD_PRELOAD=$($CC -print-file-name=libasan.so)"
      run="$run:$($CC -print-file-name=libubsan.so)" ;;
tsan) flags="$flags -fsanitize=thread"
      TSAN_OPTIONS=exitcode=9:report_signal_unsafe=0
      run="env LD_PRELOAD=$($CC -print-file-name=libtsan.so)" ;;
valgrind) command -v valgrind > /dev/null || {
              echo "try-module: valgrind is not installed" >&2; exit 1; }
          run="valgrind --error-exitcode=9 --leak-check=full
               --suppressions=$dir/suppressions
               --show-leak-kinds=definite --errors-for-leak-kinds=definite" ;;
*) echo "try-module: no such checker: $checker" >&2; exit 1 ;;
esac
export ASAN_OPTIONS TSAN_OPTIONS

rm -rf "$dir"
mkdir -p "$dir/logs" "$dir/temp"

# shellcheck disable=SC2086
$CC -shared -fPIC -pthread $flags -Iinclude -o "$dir/libngx_wsgi.so" ci/stub_*.c
# shellcheck disable=SC2046,SC2086
(cd build/nginx && $CC -shared -fPIC $flags $pool $(sed -n '
     /^ALL_INCS = /,/[^\\]$/ { s/^ALL_INCS = //; s/\\$//; p; }' objs/Makefile) \
     -I "$root/ngx_module" -I "$root/include" -o "$dir/module.so" \
     "$root"/ngx_module/*.c objs/ngx_http_wsgi_module_modules.c -ldl -lpthread)

# nginx's own, once in a process.
cat > "$dir/suppressions" <<END
{
   environment
   Memcheck:Leak
   fun:malloc
   fun:ngx_alloc
   fun:ngx_set_environment
}
END

# A single process that root starts stays root's, and has to be told so.
user=
test "$(id -u)" -ne 0 || user='user root;'

cat > "$dir/nginx.conf" <<END
$user
load_module $dir/module.so;
wsgi_library $dir/libngx_wsgi.so;
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/logs/error.log info;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $dir/temp;
    client_body_buffer_size 4k;
    wsgi_pool default queue=8 queue_timeout=1s;
    wsgi_threads 4;
    server {
        listen 127.0.0.1:$port;
        location / { wsgi_pass stub; wsgi_timeout 500ms; }
        location = /now { return 200 "now\n"; }
    }
}
END

# shellcheck disable=SC2086
$run "$NWSGI_NGINX" -p "$dir" -c "$dir/nginx.conf" > "$dir/logs/stderr" 2>&1 &
nginx=$!

# The checker's report is of no use if nginx is not told to end.
end() {
    kill -QUIT $nginx 2> /dev/null || true
}
trap end EXIT

tries=100
until curl -fs -o /dev/null "$url/now"; do
    tries=$((tries - 1))
    if [ $tries = 0 ] || ! kill -0 $nginx 2> /dev/null; then
        cat "$dir/logs/stderr" "$dir/logs/error.log" >&2
        echo "try-module: nginx does not answer" >&2
        exit 1
    fi
    sleep 0.2
done

head -c 300000 /dev/zero > "$dir/body"
failed=0

# ask STATUS PATH [CURL OPTION...]; 000 is a response that was cut
ask() {
    want=$1
    path=$2
    shift 2
    kill -0 $nginx 2> /dev/null || return 0
    got=$(curl -s -m 20 -o "$dir/answer" -w '%{http_code} %{exitcode}' "$@" \
          "$url$path") || got="${got:-} "
    case $got in
    "$want 0" | "cut 18" | "cut 52") ;;
    *) if [ "$want" != cut ] || [ "${got#* }" = 0 ]; then
           echo "try-module: $path: $got instead of $want" >&2
           failed=1
       fi ;;
    esac
}

for _ in 1 2 3; do
    ask 200 /hello
    ask 200 /empty
    ask 200 /environ -H 'Cookie: a=1' -H 'Cookie: b=2' -H 'X-A: 1' -H 'X-A: 2'
    ask 200 /echo --data-binary @"$dir/body"
    ask 200 /echo --data-binary "a few bytes"
    ask 200 /echo --data-binary @"$dir/body" -H 'Transfer-Encoding: chunked'
    ask 200 '/big?2000000'
    ask 200 '/lend?2000000'
    ask 200 '/stream?200'
    ask 200 '/chunks?20'
    ask 200 '/file?1000000'
    ask 200 '/log?20'
    ask 200 /longlog
    ask 200 /hello --head
    ask 504 '/stuck?900'
    ask 500 /fail-before
    ask cut /fail-after
    ask cut /short
    ask 500 /nowhere
done

# Clients that vanish, and more of them than there are threads and places.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    curl -s -m 0.2 -o /dev/null "$url/sleep?400" &
    clients="${clients:-} $!"
    curl -s -m 0.1 -o /dev/null --limit-rate 1k "$url/stream?2000" &
    clients="$clients $!"
done
for pid in $clients; do
    wait "$pid" || true
done
ask 200 /hello

trap - EXIT
end
rc=0
wait $nginx || rc=$?

# nginx makes its error log the standard error, so a report may be in either.
if [ $rc != 0 ] || cat "$dir"/logs/* | grep -E \
   'Sanitizer|ERROR SUMMARY: [1-9]|\[(alert|emerg|crit)\]'
then
    tail -n 60 "$dir/logs/stderr" "$dir/logs/error.log" >&2
    echo "try-module: $checker has found something, nginx ended with $rc" >&2
    exit 1
fi
grep 'stub runtime has ended, 0 lent' "$dir/logs/error.log" || failed=1
test $failed = 0 && echo "try-module, $checker: passed"
