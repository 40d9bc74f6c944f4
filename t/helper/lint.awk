# lint.awk: what a compiler does not say about C files: calls that are not
# used here, descriptors without CLOEXEC, files and functions that are too
# long.  Relies on .clang-format: a function's braces stand in column one.

function complain(line, text) {
	printf "%s:%d: %s\n", FILENAME, line, text
	wrong = 1
}

# The line without comments and without the inside of strings.
function code_of(line,    out, c, i, quote) {
	out = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (in_comment) {
			if (substr(line, i, 2) == "*/") {
				in_comment = 0
				i++
			}
		} else if (quote != "") {
			if (c == "\\")
				i++
			else if (c == quote) {
				out = out c
				quote = ""
			}
		} else if (substr(line, i, 2) == "/*") {
			in_comment = 1
			i++
		} else if (substr(line, i, 2) == "//") {
			break
		} else {
			if (c == "\"" || c == "'")
				quote = c
			out = out c
		}
	}
	return out
}

# Whether code calls the function name; not as a member: x->name(), x.name().
function calls(code, name) {
	return code ~ ("(^|[^A-Za-z0-9_.>])" name "\\(")
}

function end_of_file() {
	# The one header that is installed holds all of it.
	if (file == "" || file == "core/tcpserver.h")
		return
	if (lines > 600)
		printf "%s:%d: more than 600 lines\n", file, lines
	if (file ~ /\.h$/ && lines > 100)
		printf "%s:%d: a header of more than 100 lines\n", file, lines
	if (lines > 600 || (file ~ /\.h$/ && lines > 100))
		wrong = 1
}

BEGIN {
	n_banned = split("strcpy strcat sprintf vsprintf gets atoi atol " \
		"strtok alloca signal", banned, " ")
	n_plain = split("accept pipe epoll_create inotify_init dup creat",
		plain, " ")
	n_opening = split("socket socketpair accept4 pipe2 open openat " \
		"epoll_create1 eventfd timerfd_create signalfd " \
		"inotify_init1 memfd_create dup3", opening, " ")
}

FNR == 1 {
	end_of_file()
	file = FILENAME
	in_comment = 0
	function_line = 0
	pending = ""
}

{
	lines = FNR
	code = code_of($0)
}

code == "{" {
	function_line = FNR
}

code == "}" && function_line {
	if (FNR - function_line - 1 > 80)
		complain(function_line, "a function of more than 80 lines")
	function_line = 0
}

{
	for (i = 1; i <= n_banned; i++)
		if (calls(code, banned[i]))
			complain(FNR, banned[i] "() is banned")
	for (i = 1; i <= n_plain; i++)
		if (calls(code, plain[i]))
			complain(FNR, plain[i] "() knows no CLOEXEC")
	if (calls(code, "fopen") && $0 !~ /"[rwa+b]*e/)
		complain(FNR, "fopen() without \"e\" in its mode")
}

# A call is judged when its statement is complete.
pending == "" {
	for (i = 1; i <= n_opening; i++)
		if (calls(code, opening[i])) {
			pending = opening[i]
			pending_line = FNR
			statement = ""
		}
}

pending != "" {
	statement = statement code
	if (code ~ /[;{]/) {
		if (statement !~ /CLOEXEC/)
			complain(pending_line, pending "() without CLOEXEC")
		pending = ""
	}
}

END {
	end_of_file()
	exit wrong
}
