#!/bin/sh
#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: ci/debootstrap.sh RELEASE [test|demo|COMMAND]
#
# Runs the README's commands, word for word, in a Debian that was made a moment
# ago: bookworm, trixie, testing.  It has a clean clone of what is committed
# here, and build/sources.  Takes root, debootstrap, and some gigabytes beneath
# TMPDIR; what it made is removed, unless KEEP=1.
#
# The package mirror, proxies and certificates are this machine's.

set -eu

repo=$(cd "$(dirname "$0")/.." && pwd)
release=${1:?usage: ci/debootstrap.sh RELEASE [test|demo|COMMAND]}
what=${2:-all}

command -v debootstrap > /dev/null || {
    echo "debootstrap.sh: debootstrap is not installed (Debian's package of" \
         "that name)" >&2
    exit 1
}

# Called again below, in namespaces of its own: mounts and processes end with
# it.
if [ "${3:-}" != inside ]; then
    if [ "$what" = all ]; then
        "$0" "$release" test
        "$0" "$release" demo
        exit 0
    fi
    exec unshare --mount --pid --fork --kill-child \
        "$0" "$release" "$what" inside
fi

case $what in
test) command='./configure --with-deps && make test' ;;
demo) command='ci/try-demo.sh "./configure --with-deps && make demo"' ;;
*) command=$what ;;
esac

# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' \
         'Label: Debian' | head -n 1)

root=$(mktemp -d "${TMPDIR:-/tmp}/ngx_wsgi-$release.XXXXXX")
test "${KEEP:-}" || trap 'umount -R "$root" 2> /dev/null || true
                          rm -rf --one-file-system "$root"' EXIT
chmod 755 "$root"

echo "debootstrap $release, from $mirror, in $root"
debootstrap --variant=minbase "$release" "$root" "$mirror" \
    > "$root.log" 2>&1 || { tail -n 5 "$root.log"; exit 1; }
rm -f "$root.log"

# Its root is a mount point, as a machine's is: unshare --mount asks for that.
mount --bind "$root" "$root"
mount --bind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"

cp -L /etc/resolv.conf "$root/etc/"
mkdir -p "$root/usr/local/share"
cp -r /usr/local/share/ca-certificates "$root/usr/local/share/" || true
apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' \
    > "$root/etc/apt/apt.conf.d/00host" || true
test ! -f /etc/pip.conf || cp /etc/pip.conf "$root/etc/"

git clone -q --no-hardlinks "$repo" "$root/root/ngx_wsgi"

# of nginx, for ci/matrix.sh
if [ -d "$repo/build/sources" ]; then
    mkdir "$root/root/ngx_wsgi/build"
    cp -r "$repo/build/sources" "$root/root/ngx_wsgi/build/"
fi

echo "running: $command" | head -n 1
env -u TMPDIR -u PIP_FIND_LINKS -u LD_PRELOAD -u BUILD -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
    HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" sh -c "cd ~/ngx_wsgi && $command"
echo "$release, $what: passed" | head -n 1
