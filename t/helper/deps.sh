#!/bin/sh
# deps.sh SECTION...: installs the Debian packages of the named sections of
# t/helper/packages that are missing.  Says nothing when all are there.
# Writes build/deps.stamp after an installation: configure then looks again.
set -eu
cd "$(dirname "$0")/../.."

wanted=$(
	for section; do
		sed -n "s/^$section  *//p" t/helper/packages
	done | sort -u
)

if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is not Debian, so nothing is installed; needed are" \
		"(by their Debian names):" $wanted >&2
	exit 0
fi

# What is installed, and what that provides: some Node.js packages are npm too.
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' |
	sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/[ :].*//')
missing=
for package in $wanted; do
	case "
$present
" in
	*"
$package
"*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: apt-get is missing; install these packages by hand:" \
		"$missing" >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	root="env"
elif command -v sudo >/dev/null; then
	root="sudo"
else
	echo "deps: not root and no sudo; ask an administrator to run:" \
		"apt-get install$missing" >&2
	exit 1
fi

# Servers that tests start for themselves must not also start as services of
# this machine: that is what a policy-rc.d which answers 101 asks for.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$root rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
fi

echo "deps: installing$missing"
mkdir -p build
$root apt-get -qq update ||
	echo "deps: apt-get update failed; trying the lists at hand" >&2
if ! $root DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	-o Dpkg::Use-Pty=0 --no-install-recommends install $missing \
	</dev/null >build/deps.log 2>&1; then
	cat build/deps.log >&2
	echo "deps: apt-get could not install:$missing" >&2
	exit 1
fi
touch build/deps.stamp
