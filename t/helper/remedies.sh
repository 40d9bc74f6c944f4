#!/bin/sh
# remedies.sh: what the log may say and spliced-troubleshooting(7) does not know:
# outcomes, events, errors and warnings of the daemon, alerts.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=build/lint
mkdir -p $out
page=man/spliced-troubleshooting.7
LC_ALL=C
export LC_ALL

# Words of the log and names of alerts.
{
	sed -n 's/^\tROW(.*, "\([a-z-]*\)").*/\1/p' daemon/proxy/outcome.c |
		grep -vx none
	sed -n '/ events\[\] = {/,/^};/s/^\t{ "\([a-z-]*\)", .*/\1/p' \
		daemon/log_event.c
	sed -n 's/^ *- alert: //p' systemd/grafana/alerts.yml
} | sort -u >$out/remedies.words

# Of each error and warning the longest part that is always the same.
cat daemon/*.c | awk '
	/log_line\(|[^a-z_]say\("/ { call = ""; inside = 1 }
	inside { call = call $0 }
	inside && /;$/ {
		inside = 0
		if (call !~ /LOG_LEVEL_(ERROR|WARNING)|say\(/)
			next
		gsub(/"[ \t]*"/, "", call)
		gsub(/"[ \t]*[A-Z_]+[ \t]*"/, "%s", call)
		if (!match(call, /"([^"\\]|\\.)*"/))
			next
		text = substr(call, RSTART + 1, RLENGTH - 2)
		gsub(/\\"/, "\"", text)
		n = split(text, part, /%[-.*0-9]*(j|z|l|ll)?[a-z]/)
		best = ""
		for (i = 1; i <= n; i++)
			if (length(part[i]) > length(best))
				best = part[i]
		sub(/^[ :,;]+/, "", best)
		sub(/[ :,;("]+$/, "", best)
		if (length(best) > 5)
			print best
	}' | sort -u >$out/remedies.texts

wrong=0
for found in words texts; do
	[ "$(wc -l <$out/remedies.$found)" -gt 40 ] || {
		echo "remedies: too few $found found in the code"
		wrong=1
	}
done
sed -n 's/^\.It Cm //p' $page | tr -d ' ' | tr ',' '\n' | sort >$out/remedies.said
diff -u --label "words in the code" --label "words in $page" \
	$out/remedies.words $out/remedies.said || wrong=1
sed 's/\\(dq/"/g; s/\\&//g; s/\\-/-/g' $page >$out/remedies.page
while IFS= read -r text; do
	grep -qF -- "$text" $out/remedies.page && continue
	echo "$page has nothing for: $text"
	wrong=1
done <$out/remedies.texts
exit $wrong
