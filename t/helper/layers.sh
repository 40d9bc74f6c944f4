#!/bin/sh
# layers.sh: fails on an #include against the arrows between the folders.
# Each folder may include what stands on its line below and nothing else of
# this tree; t/ may include everything.
set -eu
cd "$(dirname "$0")/../.."

awk '
BEGIN {
	allowed["core"] = "^core/"
	allowed["conf"] = "^(core/(base|addr|prefix)\\.h$|conf/)"
	allowed["daemon/proxy"] = "^(core/|daemon/proxy/)"
	allowed["daemon"] = "^(core/|conf/|daemon/[a-z_]+\\.h$|daemon/proxy/)"
	allowed["daemon/pam"] = "^(core/|daemon/(pam|proxy)/)"
	allowed["daemon/ctl"] = "^(core/|conf/|daemon/)"
}
FNR == 1 {
	folder = FILENAME
	sub(/\/[^\/]*$/, "", folder)
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	name = $0
	sub(/^[^"]*"/, "", name)
	sub(/".*/, "", name)
	if (name == "config.h" || name ~ allowed[folder])
		next
	printf "%s:%d: %s/ may not include \"%s\"\n", FILENAME, FNR,
		folder, name
	wrong = 1
}
END { exit wrong }
' $(find core conf daemon -name '*.[chS]' | sort)
