"""Completion of splicedctl and spliced, by the shells themselves."""
import os
import re
import shlex
import shutil

from lib.case import Skip, same
from lib.client import echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.users import demand, readable, users

FOLDER = os.path.join(os.path.dirname(__file__), '..', '..', 'man',
                      'completion')
COMMANDS = {'status', 'generations', 'sessions', 'limits', 'kill', 'reload',
            'refresh', 'explain', 'passwd', 'drain', 'log-level', 'quotas',
            'top', 'version'}


def environment(t):
    """With the splicedctl of this build, and no files of a user."""
    path = os.path.abspath(t.build) + ':' + os.environ['PATH']
    return {**os.environ, 'PATH': path, 'HOME': t.dir,
            'LANG': 'C.UTF-8'}


def need(shell):
    if not shutil.which(shell):
        raise Skip(f'there is no {shell}')


def bash(t, line):
    """What bash offers for the last word of a line, which may be empty."""
    name = line.split(' ', maxsplit=1)[0]
    script = os.path.join(FOLDER, f'{name}.bash')
    words = line.split(' ')
    # As readline cuts them.
    words = [part for w in words for part in
             ([w] if '=' not in w else
              re.findall(r'[^=]+|=', w) if w else [''])]
    text = (f'source {shlex.quote(script)}; '
            f'COMP_WORDS=({" ".join(map(shlex.quote, words))}); '
            f'COMP_CWORD={len(words) - 1}; _{name}; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    done = t.run('bash', '--norc', '-c', text, env=environment(t))
    same(done.returncode, 0)
    return set(done.stdout.decode().split())


def fish(t, line):
    script = os.path.join(FOLDER, line.split(' ', maxsplit=1)[0] + '.fish')
    done = t.run('fish', '--no-config', '-c',
                 f'source {script}; complete -C {shlex.quote(line)}',
                 env=environment(t))
    same((done.returncode, done.stderr), (0, b''))
    return {text.split('\t')[0] for text in
            done.stdout.decode().splitlines()}


def offers(t, complete):
    """What both of them know."""
    d = Daemon(t)
    o = Origin(t, echo)
    ctl = f'splicedctl --socket {d.control.path}'
    assert COMMANDS <= complete(t, 'splicedctl '), complete(t, 'splicedctl ')
    same(complete(t, 'splicedctl log-level w'), {'warning'})
    same(complete(t, 'splicedctl reload --wa'), {'--wait'})
    assert {'user=', 'bytes>'} <= complete(t, 'splicedctl sessions ')
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        found = complete(t, f'{ctl} kill 1.')
        assert len(found) == 1 and \
            re.fullmatch(r'1\.\d+\.\d+', found.pop()), found
    assert 'lan' in complete(t, f'{ctl} drain ')
    same(complete(t, f'{ctl} drain --off l'), set())
    d.control.run('drain', 'lan')
    same(complete(t, f'{ctl} drain --off l'), {'lan'})
    same(complete(t, f'{ctl} explain --listener l'), {'lan'})
    # Without a daemon there is nothing to say, and nothing goes wrong.
    same(complete(t, 'splicedctl --socket /nonexistent kill 1.'), set())


def test_bash_completes(t):
    need('bash')
    offers(t, bash)


def test_fish_completes(t):
    need('fish')
    offers(t, fish)


# A zsh at a terminal of its own, whose matches go into a file before it ends.
ZSHRC = r'''
fpath=($FOLDER $fpath)
autoload -U compinit && compinit -u -d $DUMP
zstyle ':completion:*' insert-tab false
bindkey '^I' complete-word
compadd()
{
	local -a said

	builtin compadd -O said "$@" 2>/dev/null
	print -rl -- $IPREFIX${^said} >>$HITS
	builtin compadd "$@"
}
ended()
{
	exit 0
}
comppostfuncs=(ended)
'''
ZSH = r'''
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "source $RC; print rea''dy"
zpty -r -m z line '*ready*'
zpty -w -n z "$LINE"$'\t'
while zpty -r z line; do :; done
'''


def zsh(t, line):
    rc, hits = t.file('zshrc', ZSHRC), t.file('hits', '')
    done = t.run('zsh', '-f', '-c', ZSH, env={
        **environment(t), 'TERM': 'dumb', 'FOLDER': os.path.abspath(FOLDER),
        'HITS': hits, 'RC': rc, 'LINE': line, 'DUMP': t.path('zcompdump')})
    same((done.returncode, done.stderr), (0, b''))
    with open(hits, encoding='utf-8') as f:
        return set(filter(None, f.read().split('\n')))


def test_zsh_completes(t):
    need('zsh')
    offers(t, zsh)


def test_zsh_completes_values(t):
    need('zsh')
    files = users(t, {'alice': 'secret'})
    d = Daemon(t, demand(readable(files)))
    o = Origin(t, echo)
    ctl = f'splicedctl --socket {d.control.path}'
    with tunnel(d.address, o.target, login=('alice', 'secret')) as s:
        assert echoes(s)
        for line, wanted in (
                ('sessions user=', {'user=alice'}),
                ('sessions listener=l', {'listener=lan'}),
                ('kill protocol=socks5 state=t', {'state=tunnel'}),
                ('kill generation=', {'generation=1'}),
                ('sessions --watch=1s command=b', {'command=bind'}),
                ('explain --protocol s', {'socks5', 'socks4'}),
                ('explain --listener ', {'lan'}),
                ('reload --w', {'--wait'}),
                ('quotas --r', {'--reset'})):
            same((line, zsh(t, f'{ctl} {line}')),
                 (line, wanted))


def test_completion_knows_every_command(t):
    done = t.run(os.path.join(t.build, 'splicedctl'), '--help')
    listed = set(re.findall(r'(?m)^  ([a-z][a-z-]+)\b(?=.*\S)',
                            done.stdout.decode().split('--socket')[0]))
    for name in ('splicedctl.bash', '_splicedctl', 'splicedctl.fish'):
        with open(os.path.join(FOLDER, name), encoding='utf-8') as f:
            text = f.read()
        for command in listed:
            assert re.search(rf'\b{command}\b', text), (name, command)
    same(listed - COMMANDS, set())


def daemon_offers(t, complete):
    """What all three know of the daemon's own command line."""
    t.file('new.conf', '')
    for line, wanted in (
            ('--co', {'--config'}),
            ('--im', {'--import-danted'}),
            ('--init --pr', {'--protocol'}),
            ('--init --protocol s', {'socks5', 'socks4'}),
            ('--init --protocol http --protocol h', {'http'}),
            ('--init --allow l', {'loopback'}),
            ('--init --log j', {'journal'}),
            ('--init --fo', {'--force'}),
            ('--fo', set()),
            (f'--config {t.dir}/new.c', {'new.conf'}),
            ('--explain --com', {'--command'}),
            ('--explain --command b', {'bind'})):
        found = complete(t, f'spliced {line}')
        if '/' in line:
            # zsh says the folders on the way, too.
            found = {os.path.basename(f) for f in found} & wanted
        same((line, found), (line, wanted))


def test_bash_completes_the_daemon(t):
    need('bash')
    daemon_offers(t, bash)


def test_fish_completes_the_daemon(t):
    need('fish')
    daemon_offers(t, fish)


def test_zsh_completes_the_daemon(t):
    need('zsh')
    daemon_offers(t, zsh)


def test_completion_knows_every_option(t):
    """And --help and the manual know them, too."""
    done = t.run('sed', '-n', r's/^\t{ "\([a-z-]*\)", .*argument.*/\1/p',
                 os.path.join(FOLDER, '..', '..', 'daemon', 'options.c'))
    options = set(done.stdout.decode().split())
    assert {'config', 'init', 'protocol', 'help'} <= options, options
    shown = t.run(os.path.join(t.build, 'spliced'), '--help').stdout.decode()
    with open(os.path.join(FOLDER, '..', 'spliced.8'),
              encoding='utf-8') as f:
        manual = f.read()
    texts = {}
    for name in ('spliced.bash', '_spliced', 'spliced.fish'):
        with open(os.path.join(FOLDER, name), encoding='utf-8') as f:
            texts[name] = f.read()
    for option in options:
        assert re.search(rf'--{option}\b', shown), option
        assert rf'Fl \-{option}' in manual, option
        for name, text in texts.items():
            assert re.search(rf'-(?:-|l ){option}\b', text), (name, option)
