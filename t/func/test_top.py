"""splicedctl top in a terminal of 80x24: tmux types and looks."""
import itertools
import os
import re
import shlex

from lib import client
from lib.case import eventually, same
from lib.client import echoes, noise, tunnel
from lib.control import fails
from lib.daemon import Daemon
from lib.origin import Origin, echo


class Terminal:
    """A command in a tmux of its own."""

    # One that ends may still answer at its socket.
    numbers = itertools.count()

    def __init__(self, t, *words, columns=80, lines=24, env=''):
        self.t = t
        self.socket = t.path(f'tmux-{next(self.numbers)}')
        command = ' '.join(map(shlex.quote, words))
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns),
                  '-y', str(lines), f'{env} {command}; echo "ended $?"; cat')
        t.defer(self.tmux, 'kill-server')

    def tmux(self, *words):
        # Not whatever the user has, who may be one of a service.  Unlike
        # dash this one goes on when its command takes a ^C.
        env = {**os.environ, 'LANG': 'C.UTF-8', 'SHELL': '/bin/bash'}
        done = self.t.run('tmux', '-S', self.socket, *words, env=env)
        return done.stdout.decode('utf-8', 'replace')

    def screen(self, *words):
        return self.tmux('capture-pane', '-p', *words)

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def shows(self, pattern, *words):
        """Waits until the screen does; returns the match."""
        return eventually(lambda: re.search(pattern, self.screen(*words)), 10)


def top(t, d, **options):
    return Terminal(t, os.path.join(t.build, 'splicedctl'), '--socket',
                    d.control.path, 'top', **options)


def name_of(s):
    return client.authority(*s.getsockname()[:2])


def test_top_shows_what_passes_through(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as one, \
            tunnel(d.address, o.target) as two:
        assert echoes(one, noise(300000)) and echoes(two)
        s = top(t, d)
        s.shows(r'(?m)^spliced \S+  serving, up .* generation 1, 1 alive')
        s.shows(r'sessions 2  tunnels 2  handshakes 0  accepts \d+/s')
        s.shows(r'(?m)^threads, lag/accept ms: 1\.0 \d+/\d+')
        first, second = s.shows(r'(?m)^CLIENT .*\n(.*)\n(.*)').groups()
        # What carries more stands first.
        s.shows(rf'CLIENT .*\n{name_of(one)} +- +{name_of_target(o)} .* 585k '
                rf'.*\n{name_of(two)} ')
        assert len(first) <= 80 and len(second) <= 80
        lines = s.screen().splitlines()
        same(len(lines), 24)
        assert lines[-1].startswith('q quit  p pause  s sort:traffic'), lines
        # Sorted by age: the first one still; by client: either.
        s.keys('a')
        s.shows('sort:age')
        s.keys('2')
        s.shows(r'(?m)^USER +SESSIONS .*\n- +2 ')
        s.keys('3')
        s.shows(rf'(?m)^GENERATION .*\n +1 serving +{d.worker} ')
        s.shows(r'(?m)^ +THREAD +LAG ms.*\n +1\.0 ')
        s.keys('?')
        s.shows('any key goes back')
        s.keys('x', '1')
        s.shows(r'(?m)^CLIENT ')
        s.keys('q')
        s.shows(r'(?m)^ended 0$')
        assert 'CLIENT' not in s.screen()


def name_of_target(o):
    return client.authority(*o.target)


def test_top_ends_a_session_after_a_question(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as one:
        assert echoes(one)
        s = top(t, d)
        s.shows(rf'{name_of(one)} ')
        s.keys('k')
        s.shows(r'end session 1\.\d+\.\d+\? y ends it')
        s.keys('n')
        eventually(lambda: 'y ends it' not in s.screen())
        assert echoes(one)
        s.keys('k', 'y')
        s.shows(r'session 1\.\d+\.\d+ was ended')
        same(d.wait_access(client=name_of(one))['outcome'], 'killed')
        eventually(lambda: name_of(one) not in s.screen())


def test_top_filters_and_pauses(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as one:
        assert echoes(one)
        s = top(t, d)
        s.shows(rf'{name_of(one)} ')
        s.keys('f', 'client=10.0.0.0/8', 'Enter')
        s.shows(r'(?m)^filter: client=10')
        eventually(lambda: name_of(one) not in s.screen())
        s.keys('/')
        s.keys(*['BSpace'] * 17)
        s.keys('clent=1', 'Enter')
        s.shows(r"there is no filter 'clent' \(did you mean 'client'")
        s.shows(rf'{name_of(one)} ')
        s.keys('p')
        s.shows(r'(?m)^paused')


def test_top_waits_for_a_daemon_that_is_gone(t):
    d = Daemon(t)
    s = top(t, d)
    s.shows('serving, up')
    path = d.control.path
    d.stop()
    s.shows(r'(?m)^spliced  no daemon listens at')
    again = Daemon(t, {'admin': {'socket': path}})
    s.shows('serving, up')
    same(again.control.path, path)
    # Resized, it is drawn anew.
    s.tmux('set-option', '-g', 'window-size', 'manual')
    s.tmux('resize-window', '-x', '60', '-y', '15')
    eventually(lambda: len(s.screen().splitlines()) == 15 and
               s.screen().splitlines()[-1].startswith('q quit'))
    s.keys('C-c')
    s.shows(r'(?m)^ended 0$')


def test_top_needs_no_colour(t):
    d = Daemon(t)
    for env in ('NO_COLOR=1', 'TERM=vt100'):
        s = top(t, d, env=env)
        s.shows('serving, up')
        assert not re.search(r'\x1b\[[0-9;]*3[0-7]m', s.screen('-e'))
        s.keys('q')
        s.shows(r'(?m)^ended 0$')
        s.tmux('kill-server')
    s = top(t, d, env='TERM=nonsense')
    s.shows(r'(?m)^ended 2$')


def test_top_wants_a_terminal(t):
    d = Daemon(t)
    fails(d.control.run('top'), 2, 'top needs a terminal')
    fails(d.control.run('--json', 'top'), 2, 'for programs')
