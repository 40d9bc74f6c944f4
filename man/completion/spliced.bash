# Completion of spliced(8) for bash.

_spliced()
{
	local current=${COMP_WORDS[COMP_CWORD]}
	local before=${COMP_WORDS[COMP_CWORD - 1]}
	local words='--config --listen --check --dump --explain --init
		--import-danted --single --version --help'

	COMPREPLY=()
	[[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $current == = ]] && current=
	case " ${COMP_WORDS[*]} " in
	*' --init '*)
		words='--listen --allow --protocol --user --tls --log --output
			--force'
		;;
	*' --explain '*)
		words='--config --address --at --command --listener --protocol'
		;;
	esac
	case $before in
	-c | --config | --import-danted | --output | --tls)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--allow) words='loopback private any' ;;
	--command) words='connect bind udp' ;;
	--log) words='stderr journal file:/' ;;
	--protocol) words='socks5 socks4 http' ;;
	-l | --listen | --user | --address | --at | --listener)
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _spliced spliced
