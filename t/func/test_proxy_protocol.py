"""Clients behind a balancer, which says in a PROXY header who they are."""
import os
import socket
import ssl
import struct

from lib import conf
from lib.case import Skip, each, eventually, same, tool
from lib.client import (dial, echoes, read_to_end, socks5_reply,
                        socks5_request, tunnel)
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port
from lib.tls import Certificate

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
TARGET = ('192.0.2.200', 1080)


def v1(client, target=TARGET):
    family = 'TCP6' if ':' in client[0] else 'TCP4'
    return (f'PROXY {family} {client[0]} {target[0]} {client[1]} '
            f'{target[1]}\r\n').encode()


def v2(client, target=TARGET, tlvs=b'', command=0x21):
    v6 = ':' in client[0]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    body = b''.join(socket.inet_pton(family, a[0]) for a in (client, target))
    body += struct.pack('>HH', client[1], target[1]) + tlvs
    return SIGNATURE + bytes([command, 0x21 if v6 else 0x11]) + \
        struct.pack('>H', len(body)) + body


HEADERS = {'v1': v1, 'v2': v2}
headers = each(*HEADERS)
ALICE = ('203.0.113.7', 4711)


def behind(**changes):
    return conf.listener(proxy_protocol=['127.0.0.0/8'], **changes)


def came(s, o, header):
    """A connection that begins with a header reaches its target."""
    s.sendall(header)
    ask_over(s, o.target)
    assert echoes(s)


def ask_over(s, target):
    s.sendall(b'\5\1\0' + socks5_request(*target))
    same(s.recv(2), b'\5\0')
    same(socks5_reply(s)[0], 0)


@headers
def test_the_header_names_the_client(t, version):
    header = HEADERS[version]
    d = Daemon(t, {'listeners': [behind()]})
    o = Origin(t, echo)
    with dial(d.address) as s:
        came(s, o, header(ALICE))
    d.wait_access(client='203.0.113.7:4711', outcome='closed')
    with dial(d.address) as s:
        came(s, o, header(('2001:db8::7', 1), ('2001:db8::8', 2)))
    d.wait_access(client='[2001:db8::7]:1', outcome='closed')


@headers
def test_rules_are_asked_for_that_client(t, version):
    header = HEADERS[version]
    d = Daemon(t, {'listeners': [behind()], 'clients': [
        {'action': 'deny', 'from': '203.0.113.0/24'},
        {'action': 'allow', 'from': 'any'}]})
    o = Origin(t, echo)
    with dial(d.address) as s:
        s.sendall(header(ALICE) + b'\5\1\0')
        same(read_to_end(s)[0], b'')
    d.wait_access(client='203.0.113.7:4711', outcome='denied')
    with dial(d.address) as s:
        came(s, o, header(('198.51.100.1', 1)))
    d.wait_access(client='198.51.100.1:1', outcome='closed')


def test_limits_count_that_client(t):
    d = Daemon(t, {'listeners': [behind()], 'limits': {'per_client': 1}})
    o = Origin(t, echo)
    with dial(d.address) as s, dial(d.address) as again, \
            dial(d.address) as other:
        came(s, o, v2(ALICE))
        again.sendall(v1(ALICE) + b'\5\1\0')
        same(read_to_end(again)[0], b'')
        d.wait_access(client='203.0.113.7:4711', outcome='limit-client')
        came(other, o, v2(('203.0.113.8', 1)))
    d.wait_access(2, outcome='closed')
    with dial(d.address) as s:
        came(s, o, v2(ALICE))


@headers
def test_a_header_may_come_in_pieces(t, version):
    header = HEADERS[version]
    d = Daemon(t, {'listeners': [behind()]})
    o = Origin(t, echo)
    whole = header(ALICE) + b'\5\1\0' + socks5_request(*o.target)
    with dial(d.address) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(whole)):
            s.sendall(whole[i:i + 1])
        same(s.recv(2), b'\5\0')
        same(socks5_reply(s)[0], 0)
        assert echoes(s)
    d.wait_access(client='203.0.113.7:4711', outcome='closed')


def test_what_stands_behind_the_addresses_is_skipped(t):
    d = Daemon(t, {'listeners': [behind()]})
    o = Origin(t, echo)
    for size in (1, 204, 205, 4000, 16000):
        tlv = struct.pack('>BH', 4, size) + b'\5\1\0'.ljust(size, b'x')[:size]
        with dial(d.address) as s:
            came(s, o, v2(ALICE, tlvs=tlv))
    d.wait_access(5, client='203.0.113.7:4711', outcome='closed')
    with dial(d.address) as s:
        s.sendall(v2(ALICE, tlvs=bytes(17000))[:4096])
        read_to_end(s)
    d.wait_access(outcome='bad-proxy-header')


@each(b'PROXY UNKNOWN\r\n', v2(ALICE, command=0x20),
      SIGNATURE + b'\x21\0\0\0')
def test_who_is_not_named_is_the_balancer_itself(t, header):
    d = Daemon(t, {'listeners': [behind()]})
    o = Origin(t, echo)
    with dial(d.address) as s:
        name = '127.0.0.1:%d' % s.getsockname()[1]
        came(s, o, header)
    d.wait_access(client=name, outcome='closed')


@each(b'\5\1\0', b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n', b'GET / HTTP/1.1\r\n',
      v2(ALICE, command=0x22), b'PROXY ' + b'x' * 200)
def test_no_header_or_a_bad_one_is_refused(t, first):
    d = Daemon(t, {'listeners': [behind()]})
    with dial(d.address) as s:
        name = '127.0.0.1:%d' % s.getsockname()[1]
        s.sendall(first)
        same(read_to_end(s)[0], b'')
    d.wait_access(client=name, outcome='bad-proxy-header')


def test_a_header_that_does_not_end_has_its_time(t):
    d = Daemon(t, {'listeners': [behind()],
                   'timeouts': {'handshake': '300ms'}})
    with dial(d.address) as s:
        s.sendall(v2(ALICE)[:20])
        same(read_to_end(s)[0], b'')
    d.wait_access(outcome='handshake-timeout')
    with dial(d.address) as s:
        s.sendall(v1(ALICE)[:20])
        s.shutdown(socket.SHUT_WR)
        same(read_to_end(s)[0], b'')
    d.wait_access(outcome='client-left')


def test_others_are_served_as_they_are_unless_forbidden(t):
    o = Origin(t, echo)
    elsewhere = conf.listener(proxy_protocol=['192.0.2.0/24'])
    d = Daemon(t, {'listeners': [elsewhere]})
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    with dial(d.address) as s:  # and cannot say that they are somebody else
        s.sendall(v1(ALICE))
        read_to_end(s)
    d.wait_access(outcome='bad-authority')
    d.reload({'listeners': [{**elsewhere, 'proxy_protocol_only': True}]})
    with dial(d.address) as s:
        same(read_to_end(s)[0], b'')
    d.wait_access(outcome='bad-proxy-header')


# --- as others send it -------------------------------------------------------

def haproxy(t, front, back, how):
    path = t.file('haproxy.cfg', f'''
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen it
    bind 127.0.0.1:{front}
    server s {back[0]}:{back[1]} {how}
''')
    t.start(tool('haproxy', 'haproxy'), '-db', '-f', path)


def nginx(t, front, back, how):
    module = '/usr/lib/nginx/modules/ngx_stream_module.so'
    if not os.path.exists(module):
        raise Skip('libnginx-mod-stream is missing')
    path = t.file('nginx.conf', f'''
load_module {module};
daemon off; master_process off; user root;
pid {t.path('nginx.pid')}; error_log {t.path('nginx.log')};
events {{ worker_connections 100; }}
stream {{ server {{ listen 127.0.0.1:{front};
    proxy_pass {back[0]}:{back[1]}; proxy_protocol on; }} }}
''')
    t.start(tool('nginx', 'nginx'), '-c', path, '-e', t.path('nginx.log'))


@each('send-proxy', 'send-proxy-v2',
      'send-proxy-v2 proxy-v2-options unique-id,crc32c', 'nginx')
def test_balancers_are_understood(t, how):
    balancer = nginx if how == 'nginx' else haproxy
    d = Daemon(t, {'listeners': [behind()]})
    o = Origin(t, echo)
    front = unused_port()
    balancer(t, front, d.address, how)

    def up():
        try:
            return dial(('127.0.0.1', front))
        except OSError:
            return None
    with eventually(up, said='the balancer') as s:
        name = '127.0.0.1:%d' % s.getsockname()[1]
        ask_over(s, o.target)
        assert echoes(s)
    d.wait_access(client=name, outcome='closed')


# --- before TLS --------------------------------------------------------------

def secured(t, certificate, **changes):
    return {'tls': [{'name': 'web', 'certificate': [certificate.path],
                     'key': [certificate.key]}],
            'listeners': [behind(tls='web', **changes)]}


def shake_hands(s, certificate):
    context = ssl.create_default_context(cafile=certificate.path)
    return context.wrap_socket(s, server_hostname='localhost')


@headers
def test_tls_begins_behind_the_header(t, version):
    certificate = Certificate(t)
    d = Daemon(t, secured(t, certificate))
    o = Origin(t, echo)
    s = dial(d.address)
    s.sendall(HEADERS[version](ALICE))
    with shake_hands(s, certificate) as s:
        ask_over(s, o.target)
        assert echoes(s)
    d.wait_access(client='203.0.113.7:4711', outcome='closed')


def test_header_and_client_hello_may_come_at_once(t):
    certificate = Certificate(t)
    d = Daemon(t, secured(t, certificate))
    o = Origin(t, echo)
    context = ssl.create_default_context(cafile=certificate.path)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname='localhost')
    with dial(d.address) as s:
        s.sendall(v2(ALICE, tlvs=bytes(500)) + hello(tls, outgoing))
        finish(tls, incoming, outgoing, s)
        tls.write(b'\5\1\0')
        s.sendall(outgoing.read())
        same(read(tls, incoming, s, 2), b'\5\0')
    d.wait_access(client='203.0.113.7:4711')
    same(o.accepted, 0)


def hello(tls, outgoing):
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError('a handshake by one side')


def finish(tls, incoming, outgoing, s):
    while True:
        incoming.write(s.recv(65536))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    s.sendall(outgoing.read())


def read(tls, incoming, s, size):
    while True:
        try:
            return tls.read(size)
        except ssl.SSLWantReadError:
            incoming.write(s.recv(65536))


def test_others_begin_with_tls_at_once(t):
    certificate = Certificate(t)
    changes = secured(t, certificate)
    changes['listeners'][0]['proxy_protocol'] = ['192.0.2.1']
    d = Daemon(t, changes)
    with shake_hands(dial(d.address), certificate) as s:
        ask_over(s, Origin(t, echo).target)
        assert echoes(s)


def test_failures_of_that_tls_are_told(t):
    certificate = Certificate(t)
    d = Daemon(t, {**secured(t, certificate), 'timeouts': {'tls': '300ms'}})
    with dial(d.address) as s:
        s.sendall(v2(ALICE) + b'\5\1\0this is no TLS')
        read_to_end(s)
    d.wait_access(client='203.0.113.7:4711', outcome='tls-failed')
    with dial(d.address) as s:
        s.sendall(v2(ALICE))
        read_to_end(s)
    d.wait_access(client='203.0.113.7:4711', outcome='handshake-timeout')


def test_a_forward_listener_may_have_all_of_it(t):
    certificate = Certificate(t)
    o = Origin(t, echo)
    d = Daemon(t, secured(t, certificate, protocols=['forward'],
                          target='%s:%d' % o.target))
    s = dial(d.address)
    s.sendall(v1(ALICE))
    with shake_hands(s, certificate) as s:
        assert echoes(s)
    d.wait_access(client='203.0.113.7:4711', protocol='forward',
                  outcome='closed')
