#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# Serves the sample application through two nginx instances until Ctrl-C, in a
# directory of its own that is removed at the end.
#
#   DEMO_PORT=8080   port of the front, on 127.0.0.1
#   DEMO_KEEP=       anything: keep the directory, with the logs and the data
#
# Status: 0 after Ctrl-C (or SIGTERM, SIGHUP), 1 if something did not work.

set -eu
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
port=${DEMO_PORT:-8080}
url=http://127.0.0.1:$port
run=
front=
wsgi=


die() {
    echo "demo: $*" >&2
    exit 1
}


# The environment of the build, and what it must have made.

check_build() {
    todo="run ./configure --with-deps && make demo"

    [ -r "$build/env.sh" ] || die "nothing is built yet: $todo"
    # shellcheck disable=SC1091
    . "$build/env.sh"

    for lib in ngx_http_wsgi_module.so libngx_wsgi.so; do
        [ -r "$build/$lib" ] || die "build/$lib is missing: $todo"
    done

    venv=$NWSGI_VENV
    python=$venv/bin/python
    "$python" -c 'import django' 2>/dev/null \
        || die "build/venv has no Django: $todo"
}


# As root, nginx's workers run as an ordinary user: nothing that Python does
# needs root.

choose_user() {
    user=
    [ "$(id -u)" -eq 0 ] || return 0

    user=www-data
    id "$user" >/dev/null 2>&1 || user=nobody
    group=$(id -gn "$user")
}


as_worker() {
    if [ -n "$user" ]; then
        setpriv --reuid="$user" --regid="$group" --clear-groups "$@"
    else
        "$@"
    fi
}


# Can the workers read what was built, and does the path suit a configuration
# file and a socket's name (108 bytes)?

usable() {
    case $build in
        *[!A-Za-z0-9_./+-]*) return 1 ;;
    esac

    [ "${#build}" -le 70 ] \
        && as_worker test -r "$build/libngx_wsgi.so" \
        && as_worker "$venv/bin/python" -c 'import django' 2>/dev/null
}


# Where everything lives: below build/, or, if the workers cannot read that
# (a checkout in /root), in a temporary directory with a copy of what they need.

prepare() {
    run=$build/demo-$port

    if usable; then
        mkdir -p "$run"
    else
        run=$(mktemp -d /tmp/ngx_wsgi-demo.XXXXXX)
        echo "demo: $build does not suit ${user:-nginx}, copying it to $run"
        mkdir "$run/build"
        cp "$build"/*.so "$run/build"
        cp -R "$venv" "$run/build/venv"
        build=$run/build
        venv=$build/venv
        chmod -R a+rX "$run"
        as_worker "$venv/bin/python" -c 'import django' \
            || die "user ${user:-$(id -un)} cannot run $NWSGI_PYTHON:" \
                   "./configure --with-python= takes another"
    fi

    mkdir -p "$run/logs" "$run/tmp" "$run/data/tmp"
    rm -f "$run/wsgi.sock"
    cp -R "$root/demo/site" "$root/demo/static" "$root/demo/temp.conf" "$run"

    for conf in front.conf wsgi.conf; do
        sed -e "s|@PORT@|$port|g" -e "s|@RUN@|$run|g" \
            -e "s|@BUILD@|$build|g" -e "s|@VENV@|$venv|g" \
            "$root/demo/$conf" >"$run/$conf"
    done

    chmod -R a+rX "$run"
}


# The application's data.  Tables are made here, once, before any worker runs.

make_data() {
    if [ ! -e "$run/data/secret_key" ]; then
        (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' \
                        >"$run/data/secret_key")
    fi

    chmod 700 "$run/data"
    [ -z "$user" ] || chown -R "$user:$group" "$run/data"

    as_worker env BOARD_DATA="$run/data" PYTHONDONTWRITEBYTECODE=1 \
        "$venv/bin/python" "$run/site/manage.py" migrate -v 0 \
        || die "the database could not be made"
}


# What belongs to this way of running, not to the configuration.  Errors go to
# the terminal as well as to their file.

check_conf() {
    globals="daemon off; error_log stderr error; ${user:+user $user $group;}"

    for conf in wsgi front; do
        "$NWSGI_NGINX" -p "$run" -c "$run/$conf.conf" -g "$globals" -t -q \
            || die "$conf.conf is not accepted"
    done
}


# Becomes nginx, in a session of its own: Ctrl-C reaches this script alone,
# which ends both in order.  Should it be killed, the kernel tells nginx.

become() {
    exec setsid setpriv --pdeathsig TERM \
        "$NWSGI_NGINX" -p "$run" -c "$run/$1.conf" -g "$globals"
}


# The front first and at once: the instance behind it then has no clients left
# and ends in its own time.  A second Ctrl-C does not wait for that.

# shellcheck disable=SC2317    # called by trap
stop() {
    status=$?
    set +e
    trap - EXIT
    trap 'kill -TERM $front $wsgi 2>/dev/null' INT TERM HUP

    end TERM "$front"
    end QUIT "$wsgi"

    if [ -n "${DEMO_KEEP:-}" ] || { [ "$status" -ne 0 ] && [ -n "$wsgi" ]; }
    then
        echo "demo: kept $run"
    elif [ -n "$run" ]; then
        rm -rf "$run"
        echo "demo: stopped, nothing is left"
    fi

    exit "$status"
}


# shellcheck disable=SC2317
end() {
    [ -n "$2" ] || return 0
    kill -s "$1" "$2" 2>/dev/null

    while kill -0 "$2" 2>/dev/null; do
        wait "$2"           # a signal interrupts it
    done
}


tell() {
    cat <<END

Corkboard, a Django application, is served by two nginx:

    $url/

  front  pid $front: static files, and a proxy to the other
         $run/front.conf
  wsgi   pid $wsgi: Python in its workers, at the socket wsgi.sock
         $run/wsgi.conf

Pages
  /          pin a note, with a file to download again
  /stream/   chunks that arrive as a generator makes them
  /environ/  what the application is given
  /errors/   an exception, a response that is cut, a timeout

In another terminal
  curl -i $url/static/board.css
      from the front alone
  curl -N $url/stream/events
      a chunk each half second
  curl -i $url/errors/raise
      500, and the traceback in the log
  curl -i $url/errors/stuck
      504 after 3 seconds, and in the log the line that was stuck
  kill -HUP $wsgi
      new workers, as after a deploy; no request is lost

Logs, in $run/logs
  front.access.log  front.error.log  wsgi.access.log  wsgi.error.log
  What the application logs appears below, too.

Data, in $run/data
  removed at the end with all of that directory; DEMO_KEEP=1 keeps it

Ctrl-C stops both.

END
}


trap stop EXIT
trap 'exit 0' INT TERM HUP

check_build
reason=$("$python" "$root/demo/probe.py" free "$port" 2>&1) \
    || die "cannot listen on 127.0.0.1:$port: $reason" \
           "(DEMO_PORT=8081 make demo takes another port)"

choose_user
prepare
make_data

check_conf

become wsgi & wsgi=$!
reason=$("$python" "$root/demo/probe.py" open "$run/wsgi.sock" "$wsgi" 2>&1) \
    || die "no answer from $run/wsgi.sock: $reason"

become front & front=$!

reason=$("$python" "$root/demo/probe.py" ready "$url/" "$wsgi" "$front" 2>&1) \
    || die "no answer from $url/: $reason"

tell
wait "$front" || true
die "the front has ended: see $run/logs/front.error.log"
