#!/bin/sh
# unit.sh PROGRAM...: runs unit test programs, each under a time limit, prints
# the summary of each and the whole output of those that failed, and ends with
# the total.  They mostly wait, so several run at a time; but not those that
# load the machine or measure time.  One that fails beside others runs once
# more by itself, which decides: it is then told as unsteady.
# UNIT_LOGS is the folder for outputs, UNIT_TIMEOUT the limit in seconds,
# UNIT_JOBS how many run at a time, UNIT_WRAP a command to run each program
# under (valgrind).
set -u
export UNIT_LOGS="${UNIT_LOGS:-build/t/unit}"
mkdir -p "$UNIT_LOGS"

run_one() {
	name=$(basename "$1")
	log=$UNIT_LOGS/$name.log
	timeout -k 5 "${UNIT_TIMEOUT:-120}" ${UNIT_WRAP:-} "$1" \
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
	echo "$((checks - bad)) $bad" >"$UNIT_LOGS/$name.sum"
	# In one piece: others print, too.
	if [ "$bad" != 0 ]; then
		printf '%s\n' "---- $name failed$why:
$(cat "$log")
----"
	else
		printf '%-22s %s\n' "$name" "$(grep '%: Checks:' "$log" |
			tail -n 1)"
	fi
}

if [ "$1" = --one ]; then
	run_one "$2"
	exit
fi

rm -f "$UNIT_LOGS"/*.sum
alone=
first=
together=
for program; do
	case ${program##*/check_} in
	stress | pool* | auth | task | timer) alone="$alone $program" ;;
	# The longest, for which all others would wait at the end.
	tls_conn_calls | resolver | tls_relay | name_query | log_journal | \
		prefix_table | rules_random | rules | relay_ready | \
		read | log_load | tls_tickets) first="$first $program" ;;
	*) together="$together $program" ;;
	esac
done
# No name of a program has a blank in it.
printf '%s\n' $first $together | xargs -r -n 1 -P "${UNIT_JOBS:-4}" sh "$0" --one
unsteady=0
for program in $first $together; do
	sum=$UNIT_LOGS/${program##*/}.sum
	if [ -e "$sum" ] && ! grep -q ' 0$' "$sum"; then
		unsteady=$((unsteady + 1))
		alone="$alone $program"
	fi
done
for program in $alone; do
	run_one "$program"
done

# One that left no sum was never run.
cat "$UNIT_LOGS"/*.sum | awk -v programs=$# -v unsteady=$unsteady '
	{ passed += $1; failed += $2 }
	END {
		failed += programs - NR
		if (failed < unsteady && unsteady > 4)
			failed = unsteady
		printf "unit: %d passed, %d failed", passed, failed
		if (unsteady)
			printf ", %d programs unsteady", unsteady
		printf "\n"
		exit (failed > 0)
	}'
