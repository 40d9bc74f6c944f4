#!/bin/sh
# image.sh BUILD FOLDER: makes FOLDER the root of a container without a
# distribution: both programs, the libraries that they load, certificate
# authorities, a user, a configuration, and nothing to run but these.
set -eu
build=$1
root=$2
rm -rf "$root"
mkdir -p "$root/usr/sbin" "$root/etc/spliced" "$root/etc/ssl/certs" \
	"$root/run/spliced" "$root/var/lib/spliced" "$root/var/log/spliced" \
	"$root/dev" "$root/proc" "$root/sys" "$root/tmp"

for program in spliced splicedctl; do
	cp "$build/$program" "$root/usr/sbin/$program"
	strip "$root/usr/sbin/$program"
done
# Where the loader looks for them: under the names by which they were found.
ldd "$root/usr/sbin/spliced" "$root/usr/sbin/splicedctl" |
	sed -n 's|^.*[[:space:]]\(/[^ ]*\) (0x.*|\1|p' | sort -u |
	while read -r library; do
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done

# Of them all OpenSSL's default folder has one file.
cat /etc/ssl/certs/ca-certificates.crt >"$root/etc/ssl/certs/ca-certificates.crt" ||
	echo "image: without the package ca-certificates no https:// parent" \
		"is trusted" >&2
ssl=$(openssl version -d 2>/dev/null | sed 's/.*"\(.*\)"/\1/')
mkdir -p "$root${ssl:=/usr/lib/ssl}"
ln -sf /etc/ssl/certs/ca-certificates.crt "$root$ssl/cert.pem"

# A number that no distribution gives out, as others without one have it.
cat >"$root/etc/passwd" <<-END
	root:x:0:0::/:/nonexistent
	spliced:x:65532:65532::/:/nonexistent
END
cat >"$root/etc/group" <<-END
	root:x:0:
	spliced:x:65532:
END
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp systemd/container/spliced.conf "$root/etc/spliced/spliced.conf"

chmod 1777 "$root/tmp"
chmod 755 "$root" "$root/usr/sbin/"* "$root/run/spliced"
[ "$(id -u)" != 0 ] || chown 65532:65532 "$root/run/spliced" \
	"$root/var/lib/spliced" "$root/var/log/spliced"
du -sk "$root" | awk '{ printf "image: %.1f MB\n", $1 / 1024 }'
