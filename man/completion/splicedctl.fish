# Completion of splicedctl(8) for fish.

set -l verbs status generations sessions limits kill reload refresh explain \
	passwd drain log-level quotas top version

# What a running spliced says: COMMAND KEY
function __splicedctl_ask
	set -l tokens (commandline -opc)
	set -l socket
	for i in (seq (count $tokens))
		switch $tokens[$i]
			case -s --socket
				set socket --socket $tokens[(math $i + 1)]
			case '--socket=*'
				set socket $tokens[$i]
		end
	end
	if test $argv[2] = id
		splicedctl $socket --json $argv[1] 2>/dev/null |
			sed -n 's/^{"id":"\([0-9.]*\)".*/\1/p'
	else
		splicedctl $socket --json $argv[1] 2>/dev/null |
			sed -n 's/.*"'$argv[2]'":\[\([^]]*\)\].*/\1/p' |
			tr -d '"' | tr ',' '\n'
	end
end

function __splicedctl_drained
	if contains -- --off (commandline -opc)
		__splicedctl_ask status drained
	else
		__splicedctl_ask status listeners
	end
end

set -l filters client= host= user= upstream= listener= rule= client_rule= \
	protocol= command= state= generation= 'bytes\\>' 'up\\>' 'down\\>' 'age\\>' \
	'idle\\>'

complete -c splicedctl -f
complete -c splicedctl -s s -l socket -r -F -d 'its control socket'
complete -c splicedctl -s j -l json -d 'lines of JSON'
complete -c splicedctl -s h -l help -d 'print a summary'
complete -c splicedctl -l version -d 'print the version'

set -l none "not __fish_seen_subcommand_from $verbs"
complete -c splicedctl -n $none -a status -d 'what it is doing'
complete -c splicedctl -n $none -a generations -d 'its processes'
complete -c splicedctl -n $none -a sessions -d 'what passes through it now'
complete -c splicedctl -n $none -a limits -d 'what counts against bounds'
complete -c splicedctl -n $none -a kill -d 'end sessions'
complete -c splicedctl -n $none -a reload -d 'read the configuration anew'
complete -c splicedctl -n $none -a refresh -d 'read users and lists anew'
complete -c splicedctl -n $none -a explain -d 'which rule decides, and why'
complete -c splicedctl -n $none -a passwd -d "set a user's password"
complete -c splicedctl -n $none -a drain -d 'stop accepting'
complete -c splicedctl -n $none -a log-level -d 'what the log takes'
complete -c splicedctl -n $none -a quotas -d 'what counts against quotas'
complete -c splicedctl -n $none -a top -d 'what passes through, as it goes'
complete -c splicedctl -n $none -a version -d 'the version of the daemon'

set -l of '__fish_seen_subcommand_from'
complete -c splicedctl -n "$of status generations sessions limits" -l watch \
	-d 'again and again'
complete -c splicedctl -n "$of sessions kill" -a "$filters"
complete -c splicedctl -n "$of kill" -a '(__splicedctl_ask sessions id)'
complete -c splicedctl -n "$of kill" -l yes -d 'do not ask'
complete -c splicedctl -n "$of reload" -s w -l wait -d 'wait for its end'
complete -c splicedctl -n "$of refresh" -l enforce \
	-d 'end sessions of users who are gone'
complete -c splicedctl -n "$of explain" -l address -x -d 'where the name leads'
complete -c splicedctl -n "$of explain" -l at -x -d 'another time than now'
complete -c splicedctl -n "$of explain" -l command -x -a 'connect bind udp'
complete -c splicedctl -n "$of explain" -l listener -x \
	-a '(__splicedctl_ask status listeners)'
complete -c splicedctl -n "$of explain" -l protocol -x -a 'socks5 socks4 http'
complete -c splicedctl -n "$of passwd" -l file -r -F -d 'the file of users'
complete -c splicedctl -n "$of passwd" -l remove -d 'remove the user'
complete -c splicedctl -n "$of quotas" -l reset -d 'the user has used nothing'
complete -c splicedctl -n "$of drain" -a '(__splicedctl_drained)'
complete -c splicedctl -n "$of drain" -l off -d 'the listener serves again'
complete -c splicedctl -n "$of log-level" -a 'error warning notice info debug'
