#!/bin/sh
# Puts promtool into FOLDER, from Debian's package: no wheel carries it. Not installed, so nothing
# needs root; the package lists are our own where the system has none yet.
set -eu
folder=$(cd "$1" && pwd)
! command -v promtool > /dev/null || exit 0
command -v apt-get > /dev/null || { echo "no apt-get"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! apt-get download prometheus > log 2>&1; then
    mkdir -p lists/partial cache/archives/partial
    set -- -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Debug::NoLocking=1"
    apt-get "$@" update > log 2>&1 && apt-get "$@" download prometheus > log 2>&1 || { tail -3 log; exit 1; }
fi
dpkg-deb -x prometheus_*.deb unpacked
cp unpacked/usr/bin/promtool "$folder/promtool"
