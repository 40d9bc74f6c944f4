#!/bin/sh
# lint.sh [tidy]: all checks that read the sources without running them, at
# once; prints what each found.  With "tidy" only clang-tidy, which is slow.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=build/lint
mkdir -p $out

c_files=$(find core conf daemon t -name '*.[ch]' | sort)
program_files=$(find core conf daemon t -name '*.c' ! -path 't/unit/*' | sort)
headers=$(find core conf daemon -name '*.h' | sort)
scripts=$(find t -name '*.sh' | sort)
python_files=$(find t -name '*.py' | sort)
# Examples include <tcpserver.h>.
defines="-D_GNU_SOURCE -I. -Ibuild -Icore"

# .clang-format is for version 14; another one would lay out otherwise.
layout() {
	$(command -v clang-format-14 || echo clang-format) \
		--dry-run -Werror $c_files 2>$out/layout.err && return 0
	grep ': error: ' $out/layout.err | sort -u -t: -k1,1 ||
		cat $out/layout.err
	echo '"make format" lays them out'
	return 1
}

layers() {
	sh t/helper/layers.sh
}

# The shared library exports what its header declares, no more and no less.
exports() {
	LC_ALL=C
	export LC_ALL
	sed -n '/^typedef/d; s/^[a-z][^(]*[ *]\(tcp_[a-z0-9_]*\)(.*/\1/p' \
		core/tcpserver.h | sort >$out/tcpserver.h
	sed -n 's/^\t\t\(tcp_[a-z0-9_]*\);$/\1/p' core/tcpserver.map \
		>$out/tcpserver.map
	diff -u $out/tcpserver.h $out/tcpserver.map
}

# The manual's list of events, outcomes and keys is the code's.
events() {
	sh t/helper/events.sh
}

# What the log may say has a remedy in spliced-troubleshooting(7).
remedies() {
	sh t/helper/remedies.sh
}

habits() {
	awk -f t/helper/lint.awk $c_files
}

# Every header can be included alone.
self_contained() {
	result=0
	for header in $headers; do
		echo "#include \"$header\"" | ${CC:-gcc} -std=gnu17 $defines \
			-Wall -fsyntax-only -x c - || result=1
	done
	return $result
}

# Leaks are left to AddressSanitizer: cppcheck knows no cleanup attribute.
defects() {
	mkdir -p $out/cppcheck
	cppcheck --quiet --error-exitcode=1 --inline-suppr -j 2 \
		--cppcheck-build-dir=$out/cppcheck --std=c11 \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem \
		--suppress=memleak --suppress=resourceLeak \
		-D__linux__ -D__x86_64__ -D__GNUC__=12 $defines \
		$program_files
}

manuals() {
	set -- man/*.[0-9]
	[ -e "$1" ] || return 0
	mandoc -Tlint -W warning "$@"
}

syntax() {
	result=0
	for script in $scripts; do
		sh -n "$script" || result=1
	done
	if [ -f .ci/run ]; then
		bash -n .ci/run || result=1
	fi
	[ -z "$python_files" ] || /usr/bin/python3 -c '
import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as source:
        ast.parse(source.read(), name)
' $python_files || result=1
	return $result
}

lengths() {
	wc -l $scripts $python_files Makefile core/library.mk configure.ac \
		.ci/run | awk '
		$2 != "total" && $1 > 600 {
			print $2 ": more than 600 lines"
			wrong = 1
		}
		END { exit wrong }'
}

tidy() {
	# Off is what contradicts the style here or is known to be wrong: the
	# analyzer of version 14 knows no cleanup attribute and miscounts
	# va_start() when one process reads several files.
	checks='-*,clang-analyzer-*,bugprone-*'
	for off in bugprone-easily-swappable-parameters \
		bugprone-reserved-identifier \
		bugprone-assignment-in-if-condition \
		bugprone-branch-clone \
		bugprone-implicit-widening-of-multiplication-result \
		bugprone-macro-parentheses \
		bugprone-narrowing-conversions \
		bugprone-not-null-terminated-result \
		bugprone-suspicious-string-compare \
		clang-analyzer-unix.Malloc \
		clang-analyzer-valist.Uninitialized \
		'clang-analyzer-security.insecureAPI.*'; do
		checks=$checks,-$off
	done
	printf '%s\n' $program_files | xargs -n 4 -P "$(nproc)" sh -c '
		checks=$1
		defines=$2
		shift 2
		clang-tidy --quiet --warnings-as-errors="*" \
			--checks="$checks" "$@" -- -std=gnu17 $defines \
			2>/dev/null' sh "$checks" "$defines"
}

checks="layers exports events remedies layout habits self_contained manuals syntax lengths defects"
[ "${1:-}" != tidy ] || checks=tidy

for check in $checks; do
	{
		$check >$out/$check.log 2>&1
		echo $? >$out/$check.status
	} &
done
wait

passed=0
failed=
for check in $checks; do
	if [ "$(cat $out/$check.status)" = 0 ]; then
		passed=$((passed + 1))
	else
		failed="$failed $check"
		echo "---- lint: $check"
		cat $out/$check.log
		echo "----"
	fi
done
if [ -n "$failed" ]; then
	echo "lint: $passed passed, failed:$failed"
	exit 1
fi
echo "lint: $passed passed, 0 failed"
