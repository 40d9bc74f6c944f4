#!/bin/sh
# box.sh: this machine's own systemd as the first process of a container that
# is thrown away: no image, no network but its own loopback, up in less than a
# second.
#
#   box.sh boot FOLDER        boots and prints "up PID", the first process as
#                             seen from outside; ends when standard input does
#   box.sh run PID CMD...     runs a command inside
#
# Files are an overlay of this machine's root, all that is written lies in
# memory below FOLDER, and every process in it dies with the one that boots,
# however that ends.  Needs root, overlayfs, cgroup2, util-linux.  Status 77:
# this machine cannot do it, and standard error says why.
# BOX_LOWER=DIR boots another tree instead of /.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin

cannot() {
	echo "$*" >&2
	exit 77
}

# --- Outside: keeps the box and its control group ---------------------------

remove_group() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
}

# Groups of boxes whose keeper was killed.
remove_old_groups() {
	for old in "$1"/spliced-box.*; do
		[ ! -d "$old" ] || kill -0 "${old##*.}" 2>/dev/null ||
			remove_group "$old" || :
	done
}

tear_down() {
	status=$?
	trap - EXIT HUP INT TERM
	for pid in ${first:-} ${reader:-}; do
		kill -KILL "$pid" 2>/dev/null || :
	done
	[ -z "${launcher:-}" ] || {
		kill -KILL "$launcher" 2>/dev/null || :
		wait "$launcher" 2>/dev/null || :
	}
	n=0
	until [ ! -d "$group" ] || remove_group "$group"; do
		[ $((n += 1)) -lt 200 ] || break
		sleep 0.01
	done
	exit $status
}

# In a mount namespace of its own, so that nothing has to be unmounted.
keep() {
	folder=$1
	exec 3<&0
	mount -t tmpfs -o size=1G,mode=755 tmpfs "$folder" ||
		cannot "no rights to mount"
	mkdir "$folder/cg" "$folder/upper" "$folder/work" "$folder/root"
	mount -t cgroup2 cgroup2 "$folder/cg" || cannot "no cgroup2"
	remove_old_groups "$folder/cg"
	group=$folder/cg/spliced-box.$$
	mkdir "$group" || cannot "no rights to make a control group"
	trap tear_down EXIT
	trap 'exit 1' HUP INT TERM

	# Each dies with the one before it.
	setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid \
		--fork --kill-child -- sh "$self" join "$folder" "$group" \
		</dev/null >&2 3<&- &
	launcher=$!
	until [ -e "$folder/pid" ] && read -r first <"$folder/pid" &&
		[ -e "/proc/$first/root/run/box-up" ]; do
		kill -0 $launcher 2>/dev/null || {
			wait $launcher || exit $?
			exit 1
		}
		sleep 0.01
	done
	echo "up $first"
	exec >&-
	# As a job, so that a signal need not wait for it.
	cat <&3 >/dev/null &
	reader=$!
	wait $reader || :
}

# Only the first process belongs into the group: a group that is handed down
# must not hold others.  /proc is still the outer one here.
join() {
	read -r first rest </proc/self/stat
	echo "$first" >"$1/pid"
	echo 0 >"$2/cgroup.procs"
	exec unshare --cgroup -- sh "$self" inside "$1"
}

# --- Inside: a root, and systemd --------------------------------------------

make_dev() {
	mount -t tmpfs -o mode=755,nosuid tmpfs "$1"
	for n in null zero full random urandom tty; do
		: >"$1/$n"
		mount --bind "/dev/$n" "$1/$n"
	done
	ln -s /proc/self/fd "$1/fd"
	ln -s fd/0 "$1/stdin"
	ln -s fd/1 "$1/stdout"
	ln -s fd/2 "$1/stderr"
	mkdir "$1/pts" "$1/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 \
		devpts "$1/pts"
	ln -s pts/ptmx "$1/ptmx"
	mount -t tmpfs -o mode=1777 tmpfs "$1/shm"
}

# Kernel settings belong to the machine, but for those of the network, which
# is its own.
make_proc() {
	mount -t proc -o nosuid,noexec,nodev proc "$1"
	mkdir "$folder/proc"
	mount -t proc proc "$folder/proc"
	mount --bind "$1/sys" "$1/sys"
	mount -o remount,bind,ro "$1/sys"
	mount --bind "$folder/proc/sys/net" "$1/sys/net"
}

# Of the units of this machine none starts by itself; beside the journal there
# is only what a test asks for.
make_units() {
	units=$1/etc/systemd/system
	rm -rf "$units" "$1"/usr/lib/systemd/system/*.wants
	mkdir -p "$units"
	for unit in tmp.mount systemd-journald-audit.socket \
		systemd-remount-fs.service; do
		ln -s /dev/null "$units/$unit"
	done
	cat >"$units/box.target" <<-END
		[Unit]
		Description=The smallest useful boot
		Requires=basic.target systemd-journald.service box-up.service
		After=basic.target systemd-journald.service
		AllowIsolate=yes
	END
	cat >"$units/box-up.service" <<-END
		[Unit]
		Description=Tells the keeper that it is up
		After=basic.target systemd-journald.service
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/touch /run/box-up
	END
}

inside() {
	folder=$1
	root=$folder/root
	mount -t overlay -o "lowerdir=${BOX_LOWER:-/}" \
		-o "upperdir=$folder/upper,workdir=$folder/work" \
		overlay "$root" 2>/dev/null ||
		cannot "no overlay of ${BOX_LOWER:-/} can be mounted"
	make_proc "$root/proc"
	mount -t sysfs -o ro,nosuid,noexec,nodev sysfs "$root/sys"
	mount -t cgroup2 -o nsdelegate cgroup2 "$root/sys/fs/cgroup"
	make_dev "$root/dev"
	mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
	mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
	: >"$root/etc/fstab"
	echo box >"$root/etc/hostname"
	make_units "$root"
	ip link set lo up

	mkdir -p "$root/.old"
	cd "$root"
	pivot_root . .old
	umount -l /.old
	# systemd expects it, for credentials for one.
	mount --make-rshared /
	init=/lib/systemd/systemd
	[ -x $init ] || cannot "no systemd"
	# Nothing that would reach beyond the box.
	drop=-sys_module,-sys_rawio,-sys_time,-syslog,-wake_alarm
	drop=$drop,-block_suspend,-mac_admin,-mac_override
	drop=$drop,-audit_control,-audit_read,-audit_write
	exec setpriv --bounding-set $drop env -i container=box LANG=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin $init --unit=box.target \
		--log-target=journal --show-status=no
}

# ----------------------------------------------------------------------------

self=$(readlink -f "$0")
verb=${1:-}
[ $# = 0 ] || shift
case $verb in
boot)
	[ "$(id -u)" = 0 ] || cannot "only root can do this"
	[ -x "${BOX_LOWER:-}/lib/systemd/systemd" ] || cannot "no systemd here"
	mkdir -p "$1"
	exec unshare --mount --propagation private -- sh "$self" keep \
		"$(readlink -f "$1")" ;;
keep | join | inside)
	$verb "$@" ;;
run)
	first=$1
	shift
	exec nsenter -t "$first" -a -- env -i LANG=C.UTF-8 TERM=dumb \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" ;;
*)
	echo "usage: box.sh boot FOLDER | run PID CMD..." >&2
	exit 2 ;;
esac
