#!/bin/sh
# unit.sh PROGRAM...: runs unit test programs one after the other, each under
# a time limit, prints the summary of each and the whole output of those that
# failed, and ends with the total.
# UNIT_LOGS is the folder for outputs, UNIT_TIMEOUT the limit in seconds,
# UNIT_WRAP a command to run each program under (valgrind).
set -u
logs=${UNIT_LOGS:-build/t/unit}
mkdir -p "$logs"
passed=0
failed=0

for program; do
	name=$(basename "$program")
	log=$logs/$name.log
	timeout -k 5 "${UNIT_TIMEOUT:-120}" ${UNIT_WRAP:-} "$program" \
		>"$log" 2>&1 </dev/null
	status=$?
	# A program that runs several suites prints a line for each.
	totals=$(sed -n 's/.*%: Checks: \([0-9]*\), Failures: \([0-9]*\), '\
'Errors: \([0-9]*\).*/\1 \2 \3/p' "$log" |
		awk '{ c += $1; b += $2 + $3 } END { print c + 0, b + 0 }')
	checks=${totals% *}
	bad=${totals#* }
	why=
	if [ $status = 124 ] || [ $status = 137 ]; then
		why=" (killed after ${UNIT_TIMEOUT:-120} s)"
	elif [ $status != 0 ] && [ "$bad" = 0 ]; then
		why=" (exit status $status)"
	elif [ "$checks" = 0 ]; then
		why=" (ran no checks)"
	fi
	# A program that broke down counts as one more failed check.
	if [ -n "$why" ]; then
		checks=$((checks + 1))
		bad=$((bad + 1))
	fi
	passed=$((passed + checks - bad))
	failed=$((failed + bad))
	if [ "$bad" != 0 ]; then
		echo "---- $name failed$why:"
		cat "$log"
		echo "----"
	else
		printf '%-22s %s\n' "$name" "$(grep '%: Checks:' "$log" |
			tail -n 1)"
	fi
done

echo "unit: $passed passed, $failed failed"
[ $failed = 0 ]
