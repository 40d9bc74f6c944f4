#!/bin/sh
# events.sh: holds what spliced(8) says of the log against the code: events with
# their ids, the texts that they are known by, keys and outcomes with replies.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=build/lint
mkdir -p $out
page=man/spliced.8
wrong=0
LC_ALL=C
export LC_ALL

# same WHAT: what the code has and what the page has are the same.
same() {
	if [ ! -s "$out/$1.code" ]; then
		echo "$1: none found in the code"
		wrong=1
	fi
	diff -u --label "$1 in the code" --label "$1 in $page" \
		"$out/$1.code" "$out/$1.page" || wrong=1
}

# The lines of a section or subsection.
part() {
	awk -v title="$1" '/^\.S[hs] / { inside = substr($0, 5) == title }
		inside' $page
}

# One row of the table a line, all of its strings joined by tabs.
rows() {
	awk '/^#define ID_/ { gsub(/"/, "", $3); id[$2] = $3 }
		/ events\[\] = \{/ { inside = 1; next }
		/^};/ { inside = 0 }
		inside { text = text $0 }
		END {
			n = split(text, row, /\}, */)
			for (i = 1; i < n; i++) {
				for (name in id)
					gsub(name, "\"" id[name] "\"", row[i])
				sub(/^[^"]*"/, "", row[i])
				sub(/"[^"]*$/, "", row[i])
				gsub(/",[ \t]*"/, "\t", row[i])
				print row[i]
			}
		}' daemon/log_event.c
}

rows >$out/rows
cut -f 1,2 $out/rows | sort -u >$out/events.code
part EVENTS | sed -n 's/^\.It Cm \([a-z-]*\) Ta Li \([0-9a-f]*\) .*/\1\t\2/p' |
	sort -u >$out/events.page
same events

# Each text is in the code that writes it; a session's words are put together.
cut -f 3,4 $out/rows | tr '\t' '\n' | sort -u >$out/texts
while IFS= read -r text; do
	case $text in
	'' | 'access '*) continue ;;
	esac
	grep -lF -- "$text" daemon/*.c | grep -qv /log_event.c || {
		echo "no line of the log has: $text"
		wrong=1
	}
done <$out/texts

grep -o '" [a-z_]*="' daemon/access.c | tr -d '" =' | sort -u >$out/keys.code
part Fields | sed -n 's/^\.It Cm //p' | tr -d ' ' | tr ',' '\n' |
	sort -u >$out/keys.page
same keys

# Outcome, reply and status; a client that gets none has none in the page.
awk '/^#define [A-Z_]+ +SOCKS5_REP_/ { name[$2] = $3 }
	FNR == NR && /SOCKS5_REP_[A-Z_]+ = 0x/ {
		code[$1] = substr($3, 4, 1)
	}
	/^\tROW\(/ {
		gsub(/^\tROW\(|[",)\\]/, " ")
		if ($1 != "NONE")
			print $4 "\t" code[name[$2]] "\t" $3
	}' daemon/proxy/outcome.h daemon/proxy/outcome.c | sort >$out/outcomes.all
part Outcomes | sed -n 's/^\.It Cm \([a-z-]*\) Ta *\([0-9]*\) *Ta *\([0-9]*\) *Ta.*/\1\t\2\t\3/p' |
	sort >$out/outcomes.page
cut -f 1 $out/outcomes.all >$out/words.code
cut -f 1 $out/outcomes.page >$out/words.page
same words
join -t "$(printf '\t')" $out/outcomes.all $out/outcomes.page | awk -F '\t' '
	$4 == "0" && $5 == "200" { next } # of what was granted
	($4 != "" && $4 != $2) || ($5 != "" && $5 != $3) {
		print $1 ": the page says " $4 " and " $5 ", the code " \
			$2 " and " $3
		wrong = 1
	}
	END { exit wrong }' || wrong=1
exit $wrong
