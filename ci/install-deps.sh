#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/install-deps.sh [--no-nginx] [--no-python] [--no-go]
#
# Installs, with apt-get, the Debian packages that building and testing need
# and that are not there.  What is there is left as it is, and no nginx is
# running afterwards that was not running before.

set -eu

cd "$(dirname "$0")/.."

want_nginx=yes
want_python=yes
want_go=yes

for option; do
    case $option in
    --no-nginx) want_nginx=no ;;
    --no-python) want_python=no ;;
    --no-go) want_go=no ;;
    *) echo "install-deps: unknown option $option" >&2; exit 1 ;;
    esac
done

die() {
    echo "install-deps: $*" >&2
    exit 1
}

packages=

# need PACKAGE COMMAND...: the package, unless the command succeeds
need() {
    package=$1
    shift
    "$@" > /dev/null 2>&1 || packages="$packages $package"
}

has_header() {
    echo "#include <$1>" | gcc -E -x c -
}

python_has() {
    /usr/bin/python3 -c "$1"
}

go_wanted=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)

# A Go of the wanted age, where configure will look for it.
has_go() {
    for go in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
        has=$(GOTOOLCHAIN=local GOFLAGS='' "$go" env GOVERSION 2> /dev/null) \
            || continue
        if printf 'go%s\n%s\n' "$go_wanted" "$has" | sort -CV; then
            return 0
        fi
    done
    return 1
}

need gcc command -v gcc
need libc6-dev has_header stdio.h
need make command -v make
need pkg-config command -v pkg-config
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need curl command -v curl
need procps command -v ps
need wrk command -v wrk
need shellcheck command -v shellcheck
need universal-ctags sh -c 'ctags --version | grep -q Universal'

if [ $want_nginx = yes ]; then
    need nginx test -x /usr/sbin/nginx
    need nginx-dev test -f /usr/share/nginx/src/src/core/nginx.h

    # a filter that answers by itself, for the tests
    need libnginx-mod-http-image-filter \
        test -f /usr/lib/nginx/modules/ngx_http_image_filter_module.so
else
    need libpcre2-dev test -f /usr/include/pcre2.h
    need zlib1g-dev has_header zlib.h
    need libssl-dev has_header openssl/ssl.h
fi

if [ $want_python = yes ]; then
    need python3-dev python_has 'import os, sysconfig
os.stat(sysconfig.get_path("include") + "/Python.h")'
    need python3-venv python_has 'import ensurepip'
fi

if [ $want_go = yes ] && ! has_go; then
    packages="$packages golang"
fi

if [ -z "$packages" ]; then
    echo "all packages that are needed are installed"
    exit 0
fi


# from here on something is installed

command -v apt-get > /dev/null \
    || die "these Debian packages are needed:$packages; but there is no" \
           "apt-get here to install them with"

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo > /dev/null; then
    as_root=sudo
else
    die "these Debian packages are needed:$packages; installing them takes" \
        "root, or sudo, which is not there"
fi

mkdir -p build
log=build/install-deps.log
: > $log

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" \
        >> $log 2>&1 || {
            tail -n 12 $log >&2
            die "apt-get $1 has failed; all of what it said is in $log"
        }
}

# Debian 12 has Go 1.19, its backports have one that is new enough.  The mirror
# is the one that this machine uses already; backports' low priority keeps
# everything else as it is.
choose_go() {
    version=$(apt-cache show golang-go | sed -n 's/^Version: *//p' \
              | sed 's/^2://' | sort -V | tail -n 1)

    if printf '%s\n%s\n' "$go_wanted" "$version" | sort -CV; then
        return
    fi

    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016
    site=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" \
           "Created-By: Packages" | head -n 1)
    test -n "$site" || die "no package source for Debian $codename is known" \
                           "to apt-get, so Go cannot be installed"

    list=/etc/apt/sources.list.d/$codename-backports.list
    echo "adding $list, for a Go that is new enough"
    echo "deb $site $codename-backports main" \
        | $as_root tee "$list" > /dev/null
    apt update
    packages="${packages% golang} golang-$go_wanted-go"
}

# dpkg asks this file whether it may start a service; 101 is "no".
policy=/usr/sbin/policy-rc.d
policy_is_ours=no

restore_policy() {
    if [ $policy_is_ours = yes ]; then
        $as_root rm -f $policy
    fi
}

trap restore_policy EXIT

if [ ! -e $policy ]; then
    policy_is_ours=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy > /dev/null
    $as_root chmod 755 $policy
fi

apt update
case $packages in *" golang") choose_go ;; esac

echo "installing:$packages (apt-get writes to $log)"
# shellcheck disable=SC2086
apt install --no-install-recommends $packages

# Nor is it to start with the machine, just because it is a tool of ours.
case "$packages " in
*" nginx "*)
    $as_root update-rc.d nginx disable >> $log 2>&1 || true
    echo "nginx was installed, but not started nor enabled" ;;
esac
