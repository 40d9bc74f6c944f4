#!/bin/sh
# run.sh FOLDER PROGRAM...: runs test programs in a guest with Debian's kernel,
# which has TLS, and prints their results as TAP and a line with the sum.
# FOLDER keeps the kernel's package and all that is made of it.
#
# Says why and succeeds where a guest cannot be had.  KTLS_TIMEOUT bounds the
# guest's life, 600 s.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
[ $# != 0 ] || { echo "ktls: no programs" >&2; exit 2; }

skip() {
	echo "ktls: skipped: $*"
	exit 0
}

[ "$(uname -sm)" = "Linux x86_64" ] || skip "the guest is for x86-64"
for tool in qemu-system-x86_64 busybox cpio modinfo depmod gzip apt-get \
	dpkg-deb; do
	command -v $tool >/dev/null || [ -x /sbin/$tool ] ||
		skip "$tool is missing; \"make check-ktls\" installs it"
done
PATH=$PATH:/sbin:/usr/sbin
# A dynamic one would not run before its libraries are there.
if ldd "$(command -v busybox)" >/dev/null 2>&1; then
	skip "busybox is not static; install the package busybox-static"
fi
mkdir -p "$out"
programs=
for program; do
	programs="$programs $(realpath "$program")"
done
cd "$out"

# ---- The kernel, unpacked from its package ---------------------------------

package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	awk '/Depends: linux-image/ { print $2; exit }')
if [ -z "$package" ]; then
	# Without apt's lists, the one of the last time.
	for package in linux-image-*.unpacked; do :; done
	package=${package%.unpacked}
	[ "$package" != "linux-image-*" ] ||
		skip "apt knows no linux-image-cloud-amd64"
fi
kernel=$package.unpacked
if [ ! -d "$kernel" ]; then
	rm -rf ./linux-image-*
	apt-get -qq download "$package" >apt.log 2>&1 ||
		skip "$package cannot be fetched: $(tail -n 1 apt.log)"
	mkdir unpacking.$$
	dpkg-deb -x "$package"_*.deb unpacking.$$
	depmod -b unpacking.$$ "$(ls unpacking.$$/lib/modules)"
	mv unpacking.$$ "$kernel"
	rm -f "$package"_*.deb
fi
version=$(ls "$kernel/lib/modules")

# ---- The guest's files -----------------------------------------------------

root=root.$$
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p $root/bin $root/dev $root/proc $root/sys $root/tmp $root/tests \
	$root/lib/modules
cp "$(command -v busybox)" $root/bin/busybox
for applet in sh mount mkdir insmod ip stty cat cut grep uname timeout sync \
	poweroff; do
	ln -s busybox $root/bin/$applet
done
cp "$here/init" $root/init
chmod 755 $root/init

for program in $programs; do
	cp "$program" $root/tests/
	for library in $(ldd "$program" | grep -o '/[^ ]*'); do
		mkdir -p "$root$(dirname "$library")"
		cp -nL "$library" "$root$library"
	done
done

# What a module needs is loaded before it.
load() {
	file=$(find "$kernel/lib/modules/$version" -name "$1.ko" | head -n 1)
	# Built into this kernel, or under its name with the other dash.
	[ -n "$file" ] || return 0
	for needed in $(modinfo -F depends "$file" | tr , ' '); do
		load "$needed"
		load "$(echo "$needed" | tr _ -)"
	done
	file=$(find "$kernel/lib/modules/$version" -name "$1.ko" | head -n 1)
	[ ! -e "$root/lib/modules/$1.ko" ] || return 0
	cp "$file" "$root/lib/modules/"
	echo "$1.ko" >>"$root/lib/modules/order"
}
for module in tls cryptd crypto_simd aesni-intel ghash-clmulni-intel gcm ctr \
	seqiv chacha-x86_64 poly1305-x86_64 chacha_generic poly1305_generic \
	chacha20poly1305; do
	load $module
done
(cd $root && find . | cpio -o -H newc --quiet | gzip -1) >initrd

# ---- The run ---------------------------------------------------------------

# boot ACCELERATOR SECONDS [WORD]: the guest's life.
boot() {
	rm -f results console
	timeout -k 5 "$2" qemu-system-x86_64 \
		-machine "q35,accel=$1" -cpu max -smp 2 -m 1024 -nodefaults \
		-no-reboot -display none -monitor none \
		-serial file:console -serial file:results \
		-kernel "$(echo "$kernel"/boot/vmlinuz-*)" -initrd initrd \
		-append "console=ttyS0 panic=-1 random.trust_cpu=on quiet ${3:-}" \
		</dev/null >qemu.log 2>&1 || :
}
# A /dev/kvm may be there and not do all that it should.
accelerator=tcg
if [ -w /dev/kvm ]; then
	boot kvm 20 probe
	[ ! -s results ] || accelerator=kvm
fi
boot $accelerator "${KTLS_TIMEOUT:-600}"

if [ ! -s results ]; then
	cat qemu.log console 2>/dev/null | tail -n 20
	echo "ktls: the guest has not run"
	exit 1
fi
sed -n '/^ok /p; /^not ok /p; /^guest: /s/^/# /p; /^exit [1-9]/s/^/# /p' results
passed=$(grep -c '^ok ' results) || :
failed=$(grep -c '^not ok ' results) || :
# One that broke down, or never came to its end, counts as a failure more.
ended=$(grep -c '^exit 0 ' results) || :
reported=$(grep -c '^exit ' results) || :
if [ "$failed" = 0 ] || [ "$reported" != $# ]; then
	failed=$((failed + $# - ended))
fi
echo "ktls: $passed passed, $failed failed"
[ "$failed" = 0 ]
