"""Listeners on UNIX sockets: their files, reloads, socket activation."""
import os
import socket
import stat
import sys

from lib import conf
from lib.case import alone, each, eventually, same, timeout
from lib.client import (BIND, CONNECT, UDP, echoes, read_exact, read_to_end,
                        socks5_greet, socks5_login, socks5_reply,
                        socks5_request)
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.users import users
from test_syscalls import Count


def knock(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    try:
        s.connect('\0' + path[1:] if path[0] == '@' else path)
    except OSError:
        s.close()
        raise
    return s


def served(path, o, count=1):
    for _ in range(count):
        with knock(path) as s:
            same(socks5_greet(s), b'\5\0')
            s.sendall(socks5_request(*o.target))
            same(socks5_reply(s)[0], 0)
            assert echoes(s)


def place(t, kind):
    """Its path, in a folder of root's, or its name; and what is written."""
    if kind == 'abstract':
        name = '@spliced-test-%d-%d' % (os.getpid(), t.count)
        return name, name
    path = t.path('listen.sock')
    return path, 'unix:' + path


def by(written, **changes):
    return conf.listener(address=['127.0.0.1:0', written], **changes)


places = each('path', 'abstract')


@places
def test_clients_are_served(t, kind):
    path, written = place(t, kind)
    d = Daemon(t, {'listeners': [by(written)]})
    o = Origin(t, echo)
    served(path, o, 5)
    d.wait_access(5, client='unix', outcome='closed')
    assert written in d.log()


@alone
@timeout(60)
def test_it_is_not_asked_what_only_tcp_knows(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written)], 'workers': 1})
    o = Origin(t, echo)
    served(path, o)
    with Count(t, d.worker) as calls:
        served(path, o, 20)
    assert calls.calls.get('getsockopt', 0) <= 5, calls.table(20)


@places
def test_the_socket_stays_over_reloads(t, kind):
    path, written = place(t, kind)
    d = Daemon(t, {'listeners': [by(written)]})
    o = Origin(t, echo)
    before = kind == 'path' and os.stat(path).st_ino
    with knock(path) as s:
        same(socks5_greet(s), b'\5\0')
        s.sendall(socks5_request(*o.target))
        same(socks5_reply(s)[0], 0)
        for i in range(3):
            d.reload({'rules': [conf.allow(name=f'r{i}')]}, rebase=False)
            served(path, o, 3)
            assert echoes(s)
    assert not before or os.stat(path).st_ino == before
    d.wait_alone()
    served(path, o, 3)


def test_nobody_who_waits_is_lost_over_reloads(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written)]})
    o = Origin(t, echo)
    for _ in range(3):
        waiting = [knock(path) for _ in range(20)]
        d.reload(rebase=False)
        waiting += [knock(path) for _ in range(20)]
        for s in waiting:
            with s:
                same(socks5_greet(s), b'\5\0')
                s.sendall(socks5_request(*o.target))
                same(socks5_reply(s)[0], 0)
                assert echoes(s)
    d.wait_alone()


def test_one_that_is_opened_late_is_kept_too(t):
    folder = t.path('later')
    path = os.path.join(folder, 'listen.sock')
    d = Daemon(t, {'sandbox': 'off', 'listeners': [
        by('unix:' + path, optional=True)]})
    o = Origin(t, echo)
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    d.wait_log('listens on unix:' + path)
    before = os.stat(path).st_ino
    served(path, o)
    waiting = [knock(path) for _ in range(20)]
    d.reload(rebase=False)
    waiting += [knock(path) for _ in range(20)]
    for s in waiting:
        with s:
            same(socks5_greet(s), b'\5\0')
    same(os.stat(path).st_ino, before)
    d.reload(rebase=True)
    served(path, o, 3)
    same(os.stat(path).st_ino, before)
    d.stop()
    assert not os.path.exists(path)


def test_the_file_of_another_is_left_at_the_end(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written)]})
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        d.stop()
        assert os.path.exists(path)


def test_the_file_has_its_mode_and_goes_at_the_end(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written, mode='0666')]})
    same(stat.S_IMODE(os.stat(path).st_mode), 0o666)
    d.stop()
    assert not os.path.exists(path)


def test_a_listener_that_goes_takes_its_file_along(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written)]})
    d.reload({'listeners': [conf.listener()]})
    eventually(lambda: not os.path.exists(path), said='no file')
    d.reload({'listeners': [by(written)]})
    served(path, Origin(t, echo))


def test_a_failed_reload_leaves_no_file(t):
    path, written = place(t, 'path')
    first = conf.listener()
    d = Daemon(t, {'listeners': [first]})
    d.reload({'listeners': [first, by(written, name='new'), conf.listener(
        name='bad', address=['192.0.2.1:1'])]}, fails='cannot listen')
    eventually(lambda: not os.path.exists(path), said='no file')


def test_a_dead_ones_file_is_replaced_and_a_living_ones_not(t):
    path, written = place(t, 'path')
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    d = Daemon(t, {'listeners': [by(written)]})
    served(path, Origin(t, echo))
    second = Daemon(t, {'listeners': [by(written)]}, wait=False)
    second.wait_log('cannot listen on unix:.*another program')
    second.wait_exit(1)
    served(path, Origin(t, echo))
    d.stop()


def test_a_header_names_the_client_behind_it(t):
    path, written = place(t, 'path')
    one = by(written, proxy_protocol=['192.0.2.1', '::/0', '0.0.0.0/0'])
    d = Daemon(t, {'listeners': [one]})
    served(path, Origin(t, echo))  # has no address
    d.reload({'listeners': [by(written, proxy_protocol=['any'])]})
    with knock(path) as s:
        s.sendall(b'PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n\5\1\0')
        same(read_exact(s, 2), b'\5\0')
    d.wait_access(client='203.0.113.7:4711')
    with knock(path) as s:
        s.sendall(b'\5\1\0')
        read_to_end(s)
    d.wait_access(client='unix', outcome='bad-proxy-header')


ACTIVATE = '''
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name[0] == '@' else name)
s.listen()
if name[0] != '@':
    os.chmod(name, 0o666)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()),
                  LISTEN_FDNAMES='it.socket')
os.execv(sys.argv[2], sys.argv[2:])
'''


@places
def test_a_units_socket_is_taken_and_left(t, kind):
    path, written = place(t, kind)
    script = t.file('activate.py', ACTIVATE)
    d = Daemon(t, {'listeners': [by(written)]},
               wrap=(sys.executable, script, path))
    o = Origin(t, echo)
    served(path, o, 3)
    d.reload({'rules': [conf.allow(name='new')]})
    served(path, o, 3)
    if kind == 'path':
        same(stat.S_IMODE(os.stat(path).st_mode), 0o666)
    d.reload({'listeners': [conf.listener()]})
    assert 'no listener\'s any more' in d.log()
    d.reload({'listeners': [by(written)]})
    served(path, o, 3)
    d.stop()
    assert kind != 'path' or os.path.exists(path)


def request(s, target, command):
    same(socks5_greet(s), b'\5\0')
    s.sendall(socks5_request(*target, command))
    return socks5_reply(s)


def test_what_needs_the_clients_address_does_without(t):
    path, written = place(t, 'path')
    d = Daemon(t, {'listeners': [by(written)],
                   'limits': {'per_client': 1},
                   'outbound': {'rotate': 'same-as-inbound'}})
    o = Origin(t, echo)
    with knock(path) as s, knock(path) as other:
        same(request(s, ('127.0.0.1', 0), BIND).code, 0)
        same(request(other, o.target, CONNECT).code, 0)
        assert echoes(other)
    with knock(path) as s:  # whose datagrams nobody could tell from others'
        same(request(s, ('0.0.0.0', 0), UDP).code, 7)
    d.wait_access(outcome='bad-command', client='unix')


def test_users_log_in_by_it(t):
    path, written = place(t, 'path')
    Daemon(t, {'listeners': [by(written)],
               'auth': {'users_file': users(t, {'anna': 'geheim'})},
               'clients': [{'action': 'allow', 'from': 'any',
                            'auth': ['password']}]})
    with knock(path) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login('anna', 'falsch'))
        same(read_exact(s, 2)[1] != 0, True)
    with knock(path) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login('anna', 'geheim'))
        same(read_exact(s, 2), b'\1\0')
