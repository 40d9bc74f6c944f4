#!/bin/sh
# dist.sh BUILD NAME [tree]: writes BUILD/NAME.tar.gz: what git has committed
# (in a tree without git, or asked for the tree: every source as it is) and
# ./configure, so that building it needs no autoconf.  The same commit gives
# the same bytes.
set -eu
build=$1
name=$2
stage=$build/dist/$name
rm -rf "$build/dist"
mkdir -p "$stage"

if [ "${3:-}" != tree ] && git rev-parse --verify -q HEAD >/dev/null 2>&1; then
	git archive HEAD | tar -x -C "$stage" -f -
	date=$(git log -1 --format=%ct)
else
	tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ \
		--exclude=./autom4te.cache . | tar -x -C "$stage" -f -
	date=$(stat -c %Y configure.ac)
fi
cp configure "$stage/configure"

tar -c --sort=name --owner=0 --group=0 --numeric-owner --format=ustar \
	--mode=u+rw,go=u-w,go-w --mtime="@${SOURCE_DATE_EPOCH:-$date}" \
	-C "$build/dist" "$name" | gzip -9n >"$build/$name.tar.gz"
rm -rf "$build/dist"
