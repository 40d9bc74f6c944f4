# coverage.awk: gcov's report as one line a file, and the total.  Several
# objects may bring the same file; the best figure counts.
/^File '/ {
	split($0, part, "'")
	name = part[2]
}
/^Lines executed:/ && name ~ /^(core|conf|daemon)\/.*\.c$/ {
	split($0, figure, /[:% ]+/)
	if (!(name in lines) || figure[3] > share[name]) {
		share[name] = figure[3]
		lines[name] = figure[5]
	}
	name = ""
}
END {
	for (name in lines) {
		printf "%-32s %6.2f %% of %d\n", name, share[name], lines[name]
		ran += share[name] * lines[name] / 100
		all += lines[name]
	}
	printf "total %33.2f %% of %d\n", all ? 100 * ran / all : 0, all
}
