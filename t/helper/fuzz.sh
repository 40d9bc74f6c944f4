#!/bin/sh
# fuzz.sh SECONDS NAME...: runs build/fuzz/fuzz_NAME for each NAME, as many
# at once as there are processors.  The corpus of the tree is only read; new
# inputs go to build/fuzz/corpus/NAME, findings to build/fuzz/NAME-*.
set -eu

if [ "$1" = one ]; then
	seconds=$2
	name=$3
	out=build/fuzz
	kept=t/fuzz/corpus/$name
	dict=t/fuzz/$name.dict
	mkdir -p "$out/corpus/$name"
	[ -d "$kept" ] || kept=
	if [ -f "$dict" ]; then dict=-dict=$dict; else dict=; fi
	if "$out/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
		-print_final_stats=1 $dict -artifact_prefix="$out/$name-" \
		"$out/corpus/$name" $kept >"$out/$name.log" 2>&1; then
		echo "fuzz_$name: $(sed -n \
			's/.*number_of_executed_units: *//p' \
			"$out/$name.log") inputs, no finding"
		exit 0
	fi
	echo "---- fuzz_$name found:"
	tail -n 60 "$out/$name.log"
	echo "----"
	exit 1
fi

seconds=$1
shift
if printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" sh "$0" one "$seconds"; then
	echo "fuzz: $# passed, 0 failed"
else
	echo "fuzz: failed"
	exit 1
fi
