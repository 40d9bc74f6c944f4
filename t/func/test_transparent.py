"""Connections that a firewall sends here: REDIRECT and TPROXY by nftables."""
import os

from lib import conf
from lib.case import Skip, each, netns, same, tool
from lib.client import dial, echoes, read_to_end
from lib.daemon import Daemon
from lib.net import Namespace, add_address, ip, join
from lib.origin import Origin, echo, unused_port

FAR4, FAR6 = '198.51.100.7', '2001:db8:100::7'
SERVED = 8080


def nft(t, text):
    program = tool('nft', 'nftables')
    if t.run(program, 'list', 'ruleset').returncode:
        raise Skip('this kernel has no nftables')
    done = t.run(program, '-f', t.file('rules.nft', text))
    same((done.returncode, done.stderr), (0, b''))


def transparent(port, **changes):
    return conf.listener(protocols=['transparent'],
                         address=[f'0.0.0.0:{port}', f'[::]:{port}'],
                         v6only=True, **changes)


def far_origins(t):
    """As if they were far away: the firewall cannot tell."""
    for address in (FAR4 + '/32', FAR6 + '/128'):
        add_address(address)
    return {host: Origin(t, echo, host=host, port=SERVED)
            for host in (FAR4, FAR6)}


def redirect(t, port, but='0'):
    """What goes out to that port, but for the user's, comes to us."""
    nft(t, f'''
table inet t {{
  chain out {{
    type nat hook output priority -100;
    meta skuid {but} accept;
    tcp dport {SERVED} redirect to :{port};
  }}
}}
''')


def as_root_is_nobody():
    if os.geteuid():
        raise Skip('the daemon has to have another user')


@netns
@each(FAR4, FAR6)
def test_redirected_connections_reach_whom_they_meant(t, host):
    as_root_is_nobody()
    port = unused_port()
    redirect(t, port, 'nobody')
    o = far_origins(t)[host]
    d = Daemon(t, {'listeners': [transparent(port)]})
    for _ in range(3):
        with dial((host, SERVED)) as s:
            assert echoes(s)
    name = f'[{host}]' if ':' in host else host
    d.wait_access(3, protocol='transparent', outcome='closed',
                  target=f'{name}:{SERVED}')
    same(o.accepted, 3)


@netns
def test_a_dual_listener_knows_ipv4_too(t):
    as_root_is_nobody()
    port = unused_port()
    redirect(t, port, 'nobody')
    far_origins(t)
    d = Daemon(t, {'listeners': [conf.listener(
        protocols=['transparent'], address=[f'[::]:{port}'], v6only=False)]})
    for host in (FAR4, FAR6):
        with dial((host, SERVED)) as s:
            assert echoes(s)
    d.wait_access(target=f'{FAR4}:{SERVED}', outcome='closed')


@netns
def test_rules_are_asked_for_the_target(t):
    as_root_is_nobody()
    port = unused_port()
    redirect(t, port, 'nobody')
    far_origins(t)
    d = Daemon(t, {'listeners': [transparent(port)],
                   'rules': [conf.deny(to=FAR4), conf.allow()]})
    try:
        with dial((FAR4, SERVED)) as s:
            same(read_to_end(s), (b'', 'reset'))
    except ConnectionResetError:
        pass  # before we knew that we were connected
    d.wait_access(outcome='denied', rule='rule-1')
    with dial((FAR6, SERVED)) as s:
        assert echoes(s)


def refused_as_loop(d, address):
    try:
        with dial(address) as s:
            same(read_to_end(s), (b'', 'reset'))
    except ConnectionResetError:
        pass
    d.wait_access(outcome='loop')


@netns
@each('redirect', 'tproxy', 'nothing')
def test_who_means_us_is_refused(t, how):
    """Nor does it come back to us without end."""
    port = unused_port()
    if how == 'redirect':
        redirect(t, port, 'nobody')
    d = Daemon(t, {'listeners': [transparent(port, tproxy=how == 'tproxy')]})
    refused_as_loop(d, ('127.0.0.1', port))
    assert len(d.access()) == 1, d.access()


def tproxy(t, port):
    nft(t, f'''
table inet t {{
  chain in {{
    type filter hook prerouting priority mangle;
    iifname "lan0" tcp dport {SERVED} jump ours;
  }}
  chain ours {{
    meta l4proto tcp meta mark set 1 tproxy to :{port} accept;
  }}
}}
''')
    for family, everything in (('-4', '0.0.0.0/0'), ('-6', '::/0')):
        ip(family, 'rule', 'add', 'fwmark', '1', 'lookup', '100')
        ip(family, 'route', 'add', 'local', everything, 'dev', 'lo', 'table',
           '100')


@netns
def test_what_tproxy_sends_reaches_whom_it_meant(t):
    port = unused_port()
    origins = far_origins(t)
    far = Namespace(t)
    join('lan0', far)
    add_address('10.9.0.1/24', 'lan0')
    add_address('2001:db8:9::1/64', 'lan0')
    far.ip('address', 'add', '10.9.0.2/24', 'dev', 'wan0')
    far.ip('address', 'add', '2001:db8:9::2/64', 'dev', 'wan0', 'nodad')
    far.ip('route', 'add', 'default', 'via', '10.9.0.1')
    far.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:9::1')
    tproxy(t, port)
    d = Daemon(t, {'listeners': [transparent(port, tproxy=True)]})

    def served():
        for host in (FAR4, FAR6):
            with far.inside():
                s = dial((host, SERVED))
            with s:
                same(s.getpeername()[:2], (host, SERVED))
                assert echoes(s)
    served()
    for host, shown, client in ((FAR4, FAR4, r'10.9.0.2'),
                                (FAR6, f'[{FAR6}]', r'[2001:db8:9::2]')):
        line = d.wait_access(target=f'{shown}:{SERVED}', outcome='closed')
        assert line['client'].startswith(client + ':'), line
    # The option stays with the sockets, and with them only while it is asked
    # for.
    d.reload({'rules': [conf.allow(name='new')]})
    served()
    same([o.accepted for o in origins.values()], [2, 2])
    d.reload({'listeners': [transparent(port)]})
    with far.inside():
        s = dial((FAR4, SERVED))
    with s:  # past us
        assert echoes(s)
    d.wait_access(4, outcome='closed')
    same(len(d.access()), 4)
