"""A new configuration while the daemon runs: what changes, what stays."""
import os
import pwd
import signal
import socket

from lib import client, conf, net, proc
from lib.case import Skip, each, eventually, fewer, netns, same, tool
from lib.client import dial, echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port
from lib.serving import fixed, inodes, refused, served


def test_the_same_file_again_changes_nothing_that_a_client_sees(t):
    d = Daemon(t)
    o = Origin(t, echo)
    before, worker, addresses = inodes(d), d.worker, d.addresses
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        d.reload(rebase=False)
        assert echoes(s)
        assert d.worker != worker
        same(d.addresses, addresses)
        same(inodes(d), before)
        served(d, o, 10)
        same([g['state'] for g in d.generations()], ['draining', 'serving'])
    d.wait_alone()
    d.assert_polled()


def test_sighup_reloads(t):
    d = Daemon(t)
    o = Origin(t, echo)
    pid, worker = d.pid, d.worker
    with tunnel(d.address, o.target) as s:
        d.write({'rules': [conf.allow(name='second')]})
        d.signal(signal.SIGHUP)
        d.wait_ready(generation=2)
        assert echoes(s)
        served(d, o)
        d.wait_access(rule='second')
    same(d.pid, pid)
    assert d.worker != worker
    d.wait_alone()
    d.rebase()


def test_the_service_manager_is_told_of_a_reload(t):
    d = Daemon(t)
    while 'READY' not in d.notified():
        pass
    for good in (True, False):
        if good:
            d.reload()
        else:
            d.reload(text='nonsense = 1;\n', fails='nonsense')
        message = d.notified()
        while 'RELOADING' not in message:
            message = d.notified()
        assert int(message['MONOTONIC_USEC']) > 0, message
        message = d.notified()
        while 'READY' not in message:
            message = d.notified()
        assert ('failed' in message.get('STATUS', '')) != good, message


def test_a_listener_that_is_added_is_served(t):
    first = conf.listener()
    d = Daemon(t, {'listeners': [first]})
    o = Origin(t, echo)
    address, before = d.address, inodes(d)
    d.reload({'listeners': [first, conf.listener(
        name='more', address=['127.0.0.2:0', '[::1]:0'])]})
    same(len(d.addresses), 3)
    same(d.address, address)
    same(inodes(d), before)
    for a in d.addresses:
        served(d, o, 20, a)
    d.wait_access(20, listener='more')
    d.assert_polled()


def test_a_listener_that_is_removed_refuses_but_keeps_its_tunnels(t):
    first = conf.listener()
    d = Daemon(t, {'listeners': [first, conf.listener(
        name='more', address=['127.0.0.2:0'])]})
    o = Origin(t, echo)
    gone = d.at('127.0.0.2')
    with tunnel(gone, o.target) as s:
        d.reload({'listeners': [first]}, rebase=False)
        same(d.addresses, [d.at('127.0.0.1')])
        eventually(lambda: refused(gone), said=f'{gone} refuses')
        same(proc.listening(gone), set())
        assert echoes(s)
        served(d, o, 10)
    d.wait_alone()
    d.rebase()


def test_a_listener_that_is_renamed_keeps_its_sockets(t):
    listener = fixed(name='old')
    d = Daemon(t, {'listeners': [listener]})
    o = Origin(t, echo)
    before = inodes(d)
    served(d, o)
    d.wait_access(listener='old')
    d.reload({'listeners': [{**listener, 'name': 'new'}]})
    same(inodes(d), before)
    served(d, o)
    d.wait_access(listener='new')
    # And on: the next one must find them by their address again.
    d.reload({'listeners': [{**listener, 'name': 'newer'}]})
    same(inodes(d), before)
    served(d, o, 20)
    d.wait_access(20, listener='newer')


def test_names_may_be_swapped(t):
    one, two = fixed(name='one'), fixed(name='two')
    d = Daemon(t, {'listeners': [one, two]})
    o = Origin(t, echo)
    first, second = d.addresses
    before = inodes(d, first), inodes(d, second)
    d.reload({'listeners': [{**one, 'name': 'two'}, {**two, 'name': 'one'}]})
    same((inodes(d, first), inodes(d, second)), before)
    served(d, o, 1, first)
    d.wait_access(listener='two')
    served(d, o, 1, second)
    d.wait_access(listener='one')


def test_the_port_may_change(t):
    first, second = fixed(), fixed()
    d = Daemon(t, {'listeners': [first]})
    o = Origin(t, echo)
    old = d.address
    with tunnel(old, o.target) as s:
        d.reload({'listeners': [second]}, rebase=False)
        assert d.address != old
        served(d, o, 10)
        eventually(lambda: refused(old), said=f'{old} refuses')
        assert echoes(s)
    d.reload({'listeners': [first]})
    same(d.address, old)
    served(d, o, 10)


def backlogs(t, port):
    """The backlog of each listening socket, as the kernel has it."""
    done = t.run(tool('ss', 'iproute2'), '-Hlnt', f'sport = :{port}')
    return [int(line.split()[2]) for line in done.stdout.splitlines()]


def test_the_backlog_may_change(t):
    d = Daemon(t, {'listeners': [conf.listener(backlog=100)]})
    port, before = d.address[1], inodes(d)
    same(backlogs(t, port), [100, 100])
    for n in (300, 50):
        d.reload({'listeners': [conf.listener(backlog=n)]})
        same(backlogs(t, port), [n, n])
        same(inodes(d), before)


def keepalive(t, s):
    """Whether the daemon's end of `s` has a keepalive timer."""
    host, port = s.getsockname()[:2]
    done = t.run(tool('ss', 'iproute2'), '-Hnto', f'dport = :{port}')
    line = next(x for x in done.stdout.decode().splitlines()
                if f'{host}:{port}' in x.split()[4])
    return 'keepalive' in line


def test_options_of_accepted_sockets_may_change(t):
    d = Daemon(t, {'listeners': [conf.listener(keepalive=False)]})
    before = inodes(d)
    with dial(d.address) as s:
        client.socks5_greet(s)
        assert not keepalive(t, s)
    for on in (True, False):
        d.reload({'listeners': [conf.listener(
            keepalive=on, keepalive_idle='77s' if on else None)]})
        same(inodes(d), before)
        with dial(d.address) as s:
            client.socks5_greet(s)
            same(keepalive(t, s), on)


@netns
def test_an_option_that_makes_another_socket_opens_another(t):
    net.dummy('dum0', '10.88.0.1/24')
    listener = fixed()
    d = Daemon(t, {'listeners': [listener]})
    o = Origin(t, echo)
    before = inodes(d)
    served(d, o)
    try:
        d.reload({'listeners': [{**listener, 'device': 'lo'}]})
    except AssertionError as e:
        # The kernel may not let both be bound at once; then it must say so.
        assert 'in use' in str(e), e
        raise Skip('the kernel holds the address') from None
    assert inodes(d) - before, 'no new socket'
    d.assert_polled()
    served(d, o, 10)


def test_protocols_may_change(t):
    d = Daemon(t, {'listeners': [conf.listener(protocols=['socks5'])]})
    o = Origin(t, echo)
    tunnel(d.address, o.target, 'socks5').close()
    d.reload({'listeners': [conf.listener(protocols=['http'])]})
    tunnel(d.address, o.target, 'http').close()
    with dial(d.address) as s:
        s.sendall(client.request('socks5', o.target))
        assert client.read_to_end(s)[0][:2] != b'\5\0'


def test_rules_may_change(t):
    d = Daemon(t, {'rules': [conf.allow(name='all')]})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        d.reload({'rules': [conf.deny(name='none', to=['127.0.0.0/8']),
                            conf.allow()]}, rebase=False)
        s2, reply = client.socks5_ask(d.address, o.target)
        s2.close()
        same(reply.code, client.DENIED)
        d.wait_access(rule='none', outcome='denied')
        # What was allowed when it began goes on.
        assert echoes(s)
    d.wait_access(rule='all', outcome='closed')


def test_clients_may_change(t):
    d = Daemon(t)
    o = Origin(t, echo)
    served(d, o)
    d.reload({'clients': [conf.deny(**{'from': '127.0.0.0/8'})]})
    with dial(d.address) as s:
        try:
            s.sendall(client.request('socks5', o.target))
        except OSError:
            pass
        same(client.read_to_end(s)[0], b'')


def test_the_user_may_change(t):
    if os.geteuid():
        raise Skip('needs to be started as root')
    d = Daemon(t, {'user': 'nobody', 'workers': 1})
    o = Origin(t, echo)
    # More workers: sockets of the new user's join those of the old one's.
    for user, workers in (('daemon', 3), ('', 2), ('nobody', 4)):
        d.reload({'user': user, 'workers': workers})
        uid = str(pwd.getpwnam(user or 'root').pw_uid)
        same(set(proc.status(d.worker)['Uid'].split()), {uid})
        served(d, o, 20)
        d.assert_polled()


@each((1, 2, 4), (4, 2, 1, 4), (3, 1, 3), (2, 8, 1))
def test_the_number_of_workers_may_change(t, steps):
    d = Daemon(t, {'workers': steps[0], 'listeners': [conf.listener()]})
    o = Origin(t, echo)
    for n in steps[1:]:
        d.reload({'workers': n})
        names = [proc.status(d.worker, i)['Name']
                 for i in proc.threads(d.worker)]
        assert sum(x.startswith('worker') for x in names) == n, names
        d.assert_polled()
        served(d, o, fewer(40))


@each('with a file', 'without one')
def test_listen_holds_over_a_reload(t, how):
    o = Origin(t, echo)
    args = ['--listen', '127.0.0.1:0', '--listen', '[::1]:0']
    d = Daemon(t, file=how == 'with a file', args=args)
    same(len(d.addresses), 2)
    before = d.addresses
    if d.control:
        d.write({'rules': [conf.allow(name='second')]})
    d.signal(signal.SIGHUP)
    d.wait_ready(generation=2)
    same(d.addresses, before)
    for a in d.addresses:
        served(d, o, 10, a)
    d.assert_polled()
    d.wait_alone()
    d.rebase()


def test_the_log_may_move(t):
    folder = t.folder('log', 'nobody')
    paths = [f'{folder}/{n}.log' for n in 'ab']
    d = Daemon(t, {'log': {'target': 'file:' + paths[0]}})
    o = Origin(t, echo)
    held = tunnel(d.address, o.target)
    d.write({'log': {'target': 'file:' + paths[1]}})
    d.file_target = paths[1]
    d.reload(rebase=False)
    assert echoes(held, b'x' * 777)
    served(d, o)
    d.wait_access()
    held.close()
    # A session's line is written where its generation writes.
    eventually(lambda: 'up=777' in open(paths[0], encoding='utf-8').read())
    assert 'up=777' not in open(paths[1], encoding='utf-8').read()


def test_a_log_that_was_moved_away_is_made_anew(t):
    folder = t.folder('log', 'nobody')
    path = f'{folder}/spliced.log'
    d = Daemon(t, {'log': {'target': 'file:' + path}})
    held = tunnel(d.address, (o := Origin(t, echo)).target)
    d.reload(rebase=False)
    os.rename(path, path + '.1')
    d.signal(signal.SIGUSR1)  # all generations
    eventually(lambda: os.path.exists(path), said='a new file')
    assert echoes(held, b'x' * 777)
    held.close()
    eventually(lambda: 'up=777' in open(path, encoding='utf-8').read(),
               said='the line of an old generation in the new file')
    served(d, o)
    d.wait_access()


def test_the_control_socket_may_move(t):
    d = Daemon(t)
    old, new = d.control.path, t.path('new.ctl')
    d.write({'admin': {'socket': new}})
    d.signal(signal.SIGHUP)
    d.control.path = new

    def moved():
        try:
            return d.control.status()['generation'] == 2
        except OSError:  # not there, or not listening yet
            return False
    eventually(moved, said='an answer at the new path')
    d.wait_ready(generation=2)

    def gone():
        try:
            socket.socket(socket.AF_UNIX).connect(old)
        except OSError:
            return True
        return False
    eventually(gone, said='nobody at the old path')
    d.wait_alone()
    d.rebase()


@netns
def test_addresses_of_an_interface_are_those_of_the_reload(t):
    net.dummy('dum0', '10.88.0.1/24')
    port = unused_port()
    d = Daemon(t, {'listeners': [conf.listener(address=[f'dum0:{port}'])]})
    o = Origin(t, echo)
    same([a for a in d.addresses if a[0].startswith('10.')],
         [('10.88.0.1', port)])
    net.add_address('10.88.0.2/24', 'dum0')
    d.reload(rebase=True)
    for host in ('10.88.0.1', '10.88.0.2'):
        served(d, o, 10, (host, port))
    net.ip('address', 'del', '10.88.0.1/24', 'dev', 'dum0')
    net.add_address('10.88.0.2/24', 'dum0') if '10.88.0.2' not in \
        net.ip('address', 'show', 'dum0') else None
    d.reload(rebase=True)
    same([a for a in d.addresses if a[0].startswith('10.')],
         [('10.88.0.2', port)])
    served(d, o, 10, ('10.88.0.2', port))
    d.assert_polled()


@netns
def test_an_optional_address_that_came_late_is_handed_on(t):
    late = ('10.88.0.1', unused_port())
    d = Daemon(t, {'listeners': [
        conf.listener(), conf.listener(
            name='late', address=[f'10.88.0.1:{late[1]}'], optional=True)]})
    o = Origin(t, echo)
    net.dummy('dum0', '10.88.0.1/24')
    eventually(lambda: inodes(d, late), 10, 'the late address is open')
    before = inodes(d, late)
    served(d, o, 5, late)
    d.reload(rebase=True)
    same(inodes(d, late), before)
    served(d, o, 5, late)
    d.assert_polled()
