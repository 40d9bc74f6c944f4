#!/bin/sh
# deb.sh TARBALL FOLDER [REVISION]: builds Debian packages of a tarball of
# dist.sh in FOLDER, where they lie afterwards, with FOLDER/build.log.  Needs
# no network and runs no tests.
set -eu
tarball=$(readlink -f "$1")
folder=$2
# Below that of a package in Debian itself, which would have -1.
revision=${3:-0spliced1}
name=$(basename "$tarball" .tar.gz)
version=${name#spliced-}

command -v dpkg-buildpackage >/dev/null || {
	echo "deb: dpkg-buildpackage is missing: apt-get install dpkg-dev" >&2
	exit 1
}
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
cp "$tarball" "spliced_$version.orig.tar.gz"
tar -xzf "$tarball"
cd "$name"
cp -R systemd/debian debian
date=$(stat -c %Y configure.ac)
date=$(LC_ALL=C date -u -R -d "@${SOURCE_DATE_EPOCH:-$date}")
sed -e "s/@version@/$version/" -e "s/@revision@/$revision/" \
	-e "s/@date@/$date/" debian/changelog.in >debian/changelog
rm debian/changelog.in

# What make was told concerns this tree, not that one.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES READY
dpkg-buildpackage -us -uc >../build.log 2>&1 || {
	tail -n 30 ../build.log >&2
	echo "deb: failed, see $folder/build.log" >&2
	exit 1
}
