"""Is everybody served, by whom, and through which sockets?"""
import signal

from . import client, conf, proc
from .case import eventually
from .client import dial, echoes, tunnel
from .origin import unused_port


def served(d, o, count=1, address=None):
    """Every one of `count` new connections is served."""
    for i in range(count):
        with tunnel(address or d.address, o.target,
                    client.PROTOCOLS[i % 2]) as s:
            assert echoes(s)


def refused(address):
    try:
        dial(address, 2).close()
        return False
    except ConnectionRefusedError:
        return True
    except OSError:  # it was in the queue when that was closed
        return False


def inodes(d, address=None):
    return proc.listening(address or d.address)


def fixed(**changes):
    """A listener on a port that stays the same under any name."""
    return conf.listener(address=[f'127.0.0.1:{unused_port()}'], **changes)


def is_process(pid):
    """And no thread of one."""
    try:
        return proc.status(pid).get('Tgid') == str(pid)
    except OSError:
        return False


class Newcomer:
    """A generation that has been started and serves nobody yet."""

    def __init__(self, d):
        self.d = d
        known = set(proc.children(d.pid))
        newest = max(known)
        d.signal(signal.SIGHUP)
        self.pid = eventually(lambda: self.look(known, newest),
                              said='a new process')

    def look(self, known, newest):
        """Its number is one of the next, as a rule: all take a while."""
        for pid in range(newest + 1, newest + 200):
            f = proc.stat(pid)
            if f and int(f[1]) == self.d.pid and pid not in known and \
                    is_process(pid):
                return pid
        return (set(proc.children(self.d.pid)) - known or {None}).pop()

    def freeze(self):
        """Stops it; False: too late, it may have a client by now."""
        proc.kill(self.pid, signo=signal.SIGSTOP)
        eventually(lambda: proc.status(self.pid)['State'][0] == 'T',
                   said='it has stopped')
        for g in self.d.generations():
            if g['pid'] == self.pid:
                if g['state'] == 'starting' and not g['accepted']:
                    return True
        self.go_on()
        return False

    def go_on(self):
        proc.kill(self.pid, signo=signal.SIGCONT)

    def wait_gone(self):
        eventually(lambda: not proc.alive(self.pid), 20, 'its end')
