# Completion of splicedctl(8) for bash.

# What a running spliced says: _splicedctl_ask COMMAND KEY
_splicedctl_ask()
{
	local i socket=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket)
			[[ ${COMP_WORDS[i + 1]} == = ]] && i=$((i + 1))
			socket=(--socket "${COMP_WORDS[i + 1]}")
			;;
		esac
	done
	case $2 in
	id)
		splicedctl "${socket[@]}" --json "$1" 2>/dev/null |
			sed -n 's/^{"id":"\([0-9.]*\)".*/\1/p'
		;;
	*)
		splicedctl "${socket[@]}" --json "$1" 2>/dev/null |
			sed -n 's/.*"'"$2"'":\[\([^]]*\)\].*/\1/p' |
			tr -d '"' | tr ',' '\n'
		;;
	esac
}

_splicedctl()
{
	local verbs='status generations sessions limits kill reload refresh
		explain passwd drain log-level quotas top version'
	local filters='client= host= user= upstream= listener= rule=
		client_rule= protocol= command= state= generation= bytes> up>
		down> age> idle>'
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local i verb= words= options='--socket --json --help --version'

	COMPREPLY=()
	[[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $current == = ]] && current=
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket | --file)
			[[ ${COMP_WORDS[i + 1]} == = ]] && i=$((i + 1))
			i=$((i + 1))
			;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $before in
	-s | --socket | --file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--command | command) words='connect bind udp' ;;
	--protocol | protocol) words='socks5 socks4 http' ;;
	state) words='handshake name connect tunnel' ;;
	--listener | listener) words=$(_splicedctl_ask status listeners) ;;
	esac
	if [[ $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
	fi
	case $verb in
	'') words=$verbs ;;
	status | generations | limits) options+=' --watch' ;;
	sessions)
		options+=' --watch'
		words=$filters
		;;
	kill)
		options+=' --yes'
		words="$filters $(_splicedctl_ask sessions id)"
		;;
	reload) options+=' --wait' ;;
	refresh) options+=' --enforce' ;;
	explain)
		options+=' --address --at --command --listener --protocol'
		;;
	passwd) options+=' --file --remove' ;;
	quotas) options+=' --reset' ;;
	drain)
		options+=' --off'
		if [[ " ${COMP_WORDS[*]} " == *' --off '* ]]; then
			words=$(_splicedctl_ask status drained)
		else
			words=$(_splicedctl_ask status listeners)
		fi
		;;
	log-level) words='error warning notice info debug' ;;
	esac
	[[ $current == -* ]] && words=$options
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	case ${COMPREPLY[0]} in
	*= | *'>') compopt -o nospace 2>/dev/null ;;
	esac
}

complete -F _splicedctl splicedctl
