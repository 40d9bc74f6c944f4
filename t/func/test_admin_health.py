"""/readyz and /healthz when something is amiss, as others see it."""
import contextlib
import ctypes
import errno
import os
import signal

from lib import conf, proc
from lib.admin import get, get_json
from lib.case import Skip, eventually, same
from lib.client import echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port

WALL = 0x40000000
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


def start(t, changes=None, **options):
    """A daemon and the port of its admin listener."""
    port = unused_port()
    return Daemon(t, conf.merge(changes, {'admin': {
        'http': [f'127.0.0.1:{port}']}}), **options), port


def ptrace(request, tid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, tid, 0, 0) < 0:
        code = ctypes.get_errno()
        if code == errno.EPERM:
            raise Skip('threads of others may not be stopped here')
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def stopped(tid):
    """One thread that stands still; a signal would stop all of them."""
    ptrace(PTRACE_SEIZE, tid)
    try:
        ptrace(PTRACE_INTERRUPT, tid)
        eventually(lambda: os.waitpid(tid, os.WNOHANG | WALL)[0])
        yield
    finally:
        ptrace(PTRACE_DETACH, tid)


def worker_thread(pid):
    for tid in proc.threads(pid):
        with open(f'/proc/{pid}/task/{tid}/comm', encoding='utf-8') as f:
            if f.read().startswith('worker'):
                return tid
    raise AssertionError('there is no worker')


def both(port):
    return [get(port, path)[::2] for path in ('/readyz', '/healthz')]


def age_of_oldest(port):
    return max(g['age_s'] for g in
               get_json(port, '/status.json')['generations'])


def test_it_is_not_ready_once_it_is_told_to_drain(t):
    d, port = start(t)
    with tunnel(d.address, Origin(t, echo).target) as s:
        assert echoes(s)
        same(both(port), [(200, 'ok\n'), (200, 'ok\n')])
        d.control.run('drain')
        eventually(lambda: get(port, '/readyz')[0] == 503)
        same(both(port), [(503, 'stopping\n'), (200, 'ok\n')])
        same(get_json(port, '/status.json')['state'], 'stopping')
        assert echoes(s)
    d.wait_exit()


def test_it_is_ready_while_older_generations_drain(t):
    d, port = start(t)
    with tunnel(d.address, Origin(t, echo).target) as s:
        assert echoes(s)
        d.reload(rebase=False)
        same(both(port), [(200, 'ok\n'), (200, 'ok\n')])
        states = [g['state'] for g in
                  get_json(port, '/status.json')['generations']]
        same(states, ['draining', 'serving'])
    d.wait_alone()
    d.rebase()


def test_a_first_process_that_does_not_answer_is_neither(t):
    d, port = start(t)
    proc.kill(d.pid, signo=signal.SIGSTOP)
    try:
        same([get(port, path)[0] for path in ('/readyz', '/healthz')],
             [503, 503])
    finally:
        proc.kill(d.pid, signo=signal.SIGCONT)
    eventually(lambda: both(port) == [(200, 'ok\n'), (200, 'ok\n')])


def test_a_worker_that_stands_still_is_not_healthy(t):
    # By itself, so that no master replaces it.
    d, port = start(t, {'timeouts': {'watchdog': '1s'}}, single=True)
    same(get(port, '/healthz')[::2], (200, 'ok\n'))
    with stopped(worker_thread(d.pid)):
        eventually(lambda: get(port, '/healthz')[::2] ==
                   (503, 'a worker stands still\n'))
        # Which is not the same: it is for whoever restarts.
        same(get(port, '/readyz')[0], 200)
    eventually(lambda: get(port, '/healthz')[0] == 200)


def test_a_generation_is_measured_by_its_own_watchdog(t):
    port = unused_port()
    d = Daemon(t, {'timeouts': {'watchdog': '10m'}})
    with tunnel(d.address, Origin(t, echo).target) as s:
        assert echoes(s)
        d.reload({'timeouts': {'watchdog': '1s'},
                  'admin': {**d.conf['admin'],
                            'http': [f'127.0.0.1:{port}']}}, rebase=False)
        # The old one ticks every 150 s, which is no standstill.
        seen = set()
        eventually(lambda: seen.add(get(port, '/healthz')[0]) or
                   age_of_oldest(port) > 2)
        same(seen, {200})
        assert echoes(s)
    d.wait_alone()
    d.rebase()
