"""Options that need more than a value to be put through: rights, limits of
the machine, the order of a start.  What each one does is tested where its
part is: test_udp.py, test_bind.py, test_auth.py, test_outbound.py, ..."""
import os
import re
import resource
import signal

from lib import client, conf
from lib.case import Skip, each, eventually, netns, same
from lib.client import ProxyError, dial, echoes, socks4_ask, socks5_ask, tunnel
from lib.daemon import Daemon, once
from lib.origin import Origin, echo
from lib.udp import Association, Echo
from lib.users import demand, users


def needs_root():
    if os.geteuid():
        raise Skip('needs to be started as root')


# --- Rights -----------------------------------------------------------------

def test_users_are_read_before_rights_are_dropped(t):
    """By root, of a file and a folder that are nobody else's."""
    needs_root()
    os.chmod(t.folder('secret'), 0o700)
    path = users(t, {'alice': 'wonder'}, name='secret/users')
    d = Daemon(t, demand(path))
    o = Origin(t, echo)
    for _ in range(2):
        s, reply = socks5_ask(d.address, o.target,
                              login=('alice', 'wonder'))
        with s:
            same(reply.code, client.SUCCEEDED)
            assert echoes(s)
        d.reload()


@netns
def test_low_ports_of_a_range_can_be_bound(t):
    needs_root()
    d = Daemon(t, {'workers': 1,
                   'listeners': [conf.listener(udp_ports='500')],
                   'outbound': {'bind_ports': '501'}})
    e = Echo(t)
    u = Association(t, d.address)
    same(u.relay[1], 500)
    assert u.echoes(e.target)
    s, reply = socks5_ask(d.address, ('127.0.0.1', 0), client.BIND)
    with s:
        same((reply.code, reply.port), (client.SUCCEEDED, 501))


# --- Limits -----------------------------------------------------------------

def test_associations_leave_descriptors_to_tunnels(t):
    """With 512 of them UDP gets a sixteenth, for 16 associations."""
    d = Daemon(t, {'workers': 1}, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (512, 512)))
    # (512 - 512 / 4 - 512 / 16) / 2
    assert 'at most 176 sessions' in d.log(), d.log()
    some = [Association(t, d.address) for _ in range(16)]
    try:
        Association(t, d.address)
    except ProxyError as e:
        same(e.code, client.FAILURE)
    else:
        raise AssertionError('there are 17')
    d.wait_access(outcome='limit')
    some[0].close()
    d.wait_access(outcome='closed')
    Association(t, d.address)


def test_each_worker_has_room_for_an_association(t):
    d = Daemon(t, {'workers': 8, 'limits': {'udp_associations': 1,
                                            'udp_memory': '1M'}})
    e = Echo(t)
    for _ in range(16):
        u = Association(t, d.address)
        assert u.echoes(e.target)
        u.close()
        d.wait_rest()


# --- What is said of sessions -----------------------------------------------

def listed(d, *filters):
    done = d.control.run('sessions', *filters)
    same((done.returncode, done.err), (0, ''))
    return [line.split()[1:5] for line in done.out.splitlines()[1:]]


def test_sessions_can_be_told_apart(t):
    d = Daemon(t, {'listeners': [conf.listener(
        protocols=['socks5', 'socks4', 'http'])]})
    o, e = Origin(t, echo), Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    four, reply = socks4_ask(d.address, o.target)
    waits, bound = socks5_ask(d.address, ('127.0.0.1', 0), client.BIND)
    same((reply.code, bound.code), (90, client.SUCCEEDED))
    with four, waits, tunnel(d.address, o.target, 'http') as http:
        assert echoes(four) and echoes(http)
        eventually(lambda: len(listed(d)) == 4)
        for s, filters, protocol, state in (
                (u.control, ['command=udp'], 'socks5', 'tunnel'),
                (waits, ['command=bind'], 'socks5', 'connect'),
                (four, ['protocol=socks4'], 'socks4', 'tunnel'),
                (http, ['protocol=http', 'command=connect'], 'http',
                 'tunnel')):
            same(listed(d, *filters), [[
                client.authority(*s.getsockname()), 'lan', protocol, state]])
    u.close()
    d.wait_access(command='udp', protocol='socks5')
    d.wait_access(command='bind', protocol='socks5')
    d.wait_access(command='connect', protocol='socks4')


@each('reload', 'upgrade')
def test_datagrams_are_counted_for_good(t, how):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    for i in range(5):
        assert u.echoes(e.target)
    u.send_raw(b'no header')
    assert u.echoes(e.target)
    u.close()
    d.wait_rest()
    first = d.worker
    if how == 'reload':
        d.reload()
    else:
        d.signal(signal.SIGUSR2)
        eventually(lambda: d.worker != first)
    d.wait_alone()
    totals = d.control.status()['totals']
    same([totals[f'datagrams_{k}'] for k in ('up', 'down', 'dropped')],
         [6, 6, 1])
    out = d.control.run('status').out
    assert re.search(r'(?m)^datagrams +6 up, 6 down, 1 dropped$', out), out


# --- A start ----------------------------------------------------------------

def test_a_start_with_wrong_users_says_where(t):
    path = t.file('users', 'alice:wonder\n')
    d = Daemon(t, demand(path), wait=False)
    d.wait_exit(1)
    assert f'{path}:1: ' in d.log(), d.log()
    assert 'wonder' not in d.log(), d.log()


def test_sources_of_a_prefix_need_not_be_there(t):
    d = Daemon(t, {'outbound': {'source': ['127.0.0.1', '2001:db8:9::/64']}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


def dumped(t, text):
    return once(t, '--config', t.file('dumped.conf', text), '--dump')


def test_what_is_dumped_is_what_was_said(t):
    """All new options at once, through the file and back."""
    hashes = users(t, {'alice': 'wonder'})
    said = {
        'listeners': [conf.listener(
            protocols=['socks5', 'socks4'], udp_address='192.0.2.1',
            udp_ports='40000-40999')],
        'auth': {'users_file': hashes},
        'clients': [{'action': 'allow', 'from': 'loopback',
                     'auth': ['none', 'password'], 'userid': ['a b', 'c']}],
        'rules': [conf.allow(commands=['udp', 'bind'])],
        'outbound': {'source': ['127.0.0.1', '2001:db8::/64'],
                     'rotate': 'per-client', 'fastopen': True,
                     'bind_address': '192.0.2.1', 'bind_ports': '50000'},
        'udp': {'source': 'any', 'replies': 'any', 'buffer': '1M'},
        'names': {'search': ['a.example', 'b'], 'ndots': 0,
                  'order': 'ipv4-first'},
        'timeouts': {'bind': '1m', 'udp_idle': '0'},
        'limits': {'udp_associations': 5, 'udp_per_client': 0,
                   'udp_memory': '2M'},
    }
    done = dumped(t, conf.render(conf.merge(said)))
    same((done.returncode, done.err), (0, ''))
    for line in ('protocols = [ "socks5", "socks4" ];',
                 'udp_address = "192.0.2.1";', 'udp_ports = "40000-40999";',
                 'auth = [ "none", "password" ];',
                 'userid = [ "a b", "c" ];', f'users_file = "{hashes}";',
                 'commands = [ "bind", "udp" ];', 'rotate = "per-client";',
                 'source = [ "127.0.0.1", "2001:db8::/64" ];',
                 'fastopen = true;', 'bind_ports = "50000";',
                 'source = "any";', 'replies = "any";', 'buffer = "1M";',
                 'search = [ "a.example", "b" ];', 'ndots = 0;',
                 'order = "ipv4-first";', 'bind = "1m";', 'udp_idle = "0";',
                 'udp_associations = 5;', 'udp_per_client = 0;',
                 'udp_memory = "2M";'):
        assert f'{line}\n' in done.out, f'{line}: {done.out}'
    again = dumped(t, done.out)
    same(again.out.partition('\n')[2], done.out.partition('\n')[2])
