# Completion of spliced(8) for fish.

complete -c spliced -f
complete -c spliced -s c -l config -r -F -d 'read the configuration from it'
complete -c spliced -s l -l listen -x -d 'listen on this address'
complete -c spliced -l check -d 'report every error of the configuration'
complete -c spliced -l dump -d 'print the effective configuration'
complete -c spliced -l explain -d 'which rule decides, and why'
complete -c spliced -l init -d 'write a first configuration'
complete -c spliced -l import-danted -r -F -d 'what a danted.conf becomes'
complete -c spliced -l single -d 'serve in one process'
complete -c spliced -l version -d 'print the version'
complete -c spliced -s h -l help -d 'print a summary'

set -l init '__fish_contains_opt init'
complete -c spliced -n $init -l allow -x -a 'loopback private any' \
	-d 'who may use it'
complete -c spliced -n $init -l user -x -d 'who logs in'
complete -c spliced -n $init -l tls -r -F -d 'certificate and key'
complete -c spliced -n $init -l log -x -a 'stderr journal file:/' \
	-d 'where it logs'
complete -c spliced -n $init -l output -r -F -d 'where it is written'
complete -c spliced -n $init -l force -d 'over a file that is there'

set -l explain '__fish_contains_opt explain'
complete -c spliced -n $explain -l address -x -d 'where the name leads'
complete -c spliced -n $explain -l at -x -d 'another time than now'
complete -c spliced -n $explain -l command -x -a 'connect bind udp' \
	-d 'what is asked for'
complete -c spliced -n $explain -l listener -x -d 'where the client comes in'

complete -c spliced -n '__fish_contains_opt init explain' -l protocol -x \
	-a 'socks5 socks4 http' -d 'what clients speak'
