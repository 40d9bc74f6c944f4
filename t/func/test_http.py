"""HTTP CONNECT as RFC 9110 section 9.3.6 and RFC 9112 have it."""
import socket
import time

from lib import client, conf, net
from lib.case import each, eventually, long, netns, patient, same, valgrind
from lib.client import (HttpReply, dial, echoes, http_ask, http_request,
                        http_status, read_all, read_exact)
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer
from lib.origin import Listener, Origin, Silent, echo, unused_port
from lib.tls import Certificate, Memory


@valgrind
def test_connects_to_an_ipv4_address(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target, 'http') as s:
        assert echoes(s)
    line = d.wait_access(protocol='http', command='connect')
    assert line['target'] == f'127.0.0.1:{o.port}', line


def test_connects_to_an_ipv6_address_in_brackets(t):
    d = Daemon(t)
    o = Origin(t, echo, host='::1')
    with client.tunnel(d.address, o.target, 'http') as s:
        assert echoes(s)


def test_connects_to_a_name(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    o = Origin(t, echo)
    with client.tunnel(d.address, ('Target.Example', o.port), 'http') as s:
        assert echoes(s)


def test_success_has_no_body_and_no_length(t):
    d = Daemon(t)
    o = Listener(t)
    s, reply = http_ask(d.address, http_request(f'127.0.0.1:{o.port}'))
    with s, o.accept() as far:
        assert reply.version == 'HTTP/1.1' and reply.status == 200
        assert 'content-length' not in reply.headers, reply.text
        assert 'transfer-encoding' not in reply.headers, reply.text
        far.sendall(b'first')
        same(read_exact(s, 5), b'first')


def test_serves_http_1_0(t):
    d = Daemon(t)
    o = Origin(t, echo)
    ask = f'CONNECT 127.0.0.1:{o.port} HTTP/1.0\r\n\r\n'.encode()
    s, reply = http_ask(d.address, ask)
    with s:
        same(reply.status, 200)
        assert echoes(s)


def test_other_fields_do_not_matter(t):
    d = Daemon(t)
    o = Origin(t, echo)
    ask = (f'CONNECT 127.0.0.1:{o.port} HTTP/1.1\r\nHost: elsewhere\r\n'
           'User-Agent: tests/1.0 (x; y)\r\nProxy-Connection: keep-alive\r\n'
           'X-Empty:\r\nX-Long: ' + 'v' * 4000 + '\r\n\r\n').encode()
    s, reply = http_ask(d.address, ask)
    with s:
        same(reply.status, 200)
        assert echoes(s)


@valgrind
def test_a_head_may_be_split_at_any_byte(t):
    d = Daemon(t)
    o = Origin(t, echo)
    whole = http_request(f'127.0.0.1:{o.port}') + b'first words'
    open_ = []
    for at in range(1, len(whole)):
        s = dial(d.address)
        s.sendall(whole[:at])
        open_.append((at, s))
    for _, s in open_:
        client.delivered(s)
    time.sleep(0.1)
    for at, s in open_:
        s.sendall(whole[at:])
    for at, s in open_:
        with s:
            assert HttpReply(s).status == 200, at
            assert read_exact(s, 11) == b'first words', at


def test_early_data_is_kept(t):
    d = Daemon(t)
    o = Origin(t, echo)
    early = client.noise(30000)
    ask = http_request(f'127.0.0.1:{o.port}') + early
    s, reply = http_ask(d.address, ask)
    with s:
        same(reply.status, 200)
        same(read_exact(s, len(early)), early)
        assert echoes(s)


BAD_AUTHORITIES = (
    '127.0.0.1', '127.0.0.1:', ':80', ':', '127.0.0.1:65536',
    '127.0.0.1:99999999999999999999', '127.0.0.1:-1', '127.0.0.1:+80',
    '127.0.0.1:8o', '127.0.0.1:80x', '127.0.0.1:0x50', '127.0.0.1:80:80',
    'http://127.0.0.1:80/', 'http://127.0.0.1:80', '127.0.0.1:80/',
    '127.0.0.1:80?a', '127.0.0.1:80#a', 'me@127.0.0.1:80', '/', '*',
    '[::1]', '[::1]:', '[::1', '[::1]80', '[::1]x:80', '[]:80', '[:80',
    '::1:80', '[127.0.0.1]:80', '[::1%lo]:80', '[g::1]:80', '[::1]:99999',
    'a\x01b:80', 'a"b:80', 'a<b>:80', 'a\\b:80', 'x' * 300 + ':80',
)


def test_a_bad_authority_is_400(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for bad in BAD_AUTHORITIES:
        status = http_status(d.address, http_request(bad))
        assert status == 400, (bad, status)
    d.wait_access(len(BAD_AUTHORITIES), protocol='http')
    same(o.accepted, 0)


BAD_LINES = (
    b'CONNECT',
    b'CONNECT ',
    b'CONNECT 127.0.0.1:1',
    b'CONNECT 127.0.0.1:1 HTTP/1.1 x',
    b'CONNECT  127.0.0.1:1 HTTP/1.1',
    b'CONNECT 127.0.0.1:1  HTTP/1.1',
    b'CONNECT\t127.0.0.1:1\tHTTP/1.1',
    b'CONNECT 127.0.0.1:1 HTCPCP/1.0',
    b'CONNECT 127.0.0.1:1 HTTP/1',
    b'CONNECT 127.0.0.1:1 HTTP/x.y',
    b'CONN\0ECT 127.0.0.1:1 HTTP/1.1',
)

BAD_FIELDS = (
    b'no colon', b': no name', b'A : b', b' folded: x', b'A: b\r\n folded',
    b'A: b\0c', b'A\0: b', b'A: b\rc', b'A: b\x01', b'A b: c', b'A(: b',
    b'Host: another', b'Content-Length: 5', b'Transfer-Encoding: chunked',
)

LINE = b'CONNECT 127.0.0.1:1 HTTP/1.1'
BAD_HEADS = [b'%s\r\nHost: x\r\n\r\n' % x for x in BAD_LINES] + \
    [b'%s\r\nHost: x\r\n%s\r\n\r\n' % (LINE, x) for x in BAD_FIELDS] + \
    [b'%s\r\n%s\r\nHost: x\r\n\r\n' % (LINE, x) for x in BAD_FIELDS] + \
    [LINE + b'\r\n\r\n']  # HTTP/1.1 demands the Host field


def test_a_malformed_head_is_400(t):
    d = Daemon(t)
    for bad in BAD_HEADS:
        status = http_status(d.address, bad)
        assert status == 400, (bad, status)


@each('HTTP/2.0', 'HTTP/0.9', 'HTTP/3.1', 'HTTP/9.9')
def test_another_version_is_505(t, version):
    d = Daemon(t)
    ask = http_request('127.0.0.1:80', version=version)
    same(http_status(d.address, ask), 505)
    d.wait_access(outcome='bad-version')


def test_denied_is_403(t):
    d = Daemon(t, {'rules': [conf.deny(ports=['25']), conf.allow()]})
    same(http_status(d.address, http_request('127.0.0.1:25')), 403)
    d.wait_access(outcome='denied')


def test_a_head_over_16_kib_is_431(t):
    d = Daemon(t)
    ask = LINE + b'\r\nHost: x\r\nX: ' + b'x' * 17000 + b'\r\n\r\n'
    same(http_status(d.address, ask), 431)
    many = LINE + b'\r\nHost: x\r\n' + b'A: b\r\n' * 2000
    same(http_status(d.address, many), 431)
    d.wait_access(2, outcome='too-large')


def test_a_head_just_under_16_kib_is_served(t):
    d = Daemon(t)
    o = Origin(t, echo)
    start = f'CONNECT 127.0.0.1:{o.port} HTTP/1.1\r\nHost: a\r\nX: '.encode()
    ask = start + b'x' * (16384 - len(start) - 4) + b'\r\n\r\n'
    s, reply = http_ask(d.address, ask)
    with s:
        same(reply.status, 200)
        assert echoes(s)


def test_refused_is_502(t):
    d = Daemon(t)
    ask = http_request(f'127.0.0.1:{unused_port()}')
    same(http_status(d.address, ask), 502)
    d.wait_access(outcome='refused')


@netns
def test_unreachable_is_502(t):
    net.add_address('198.51.100.1/24')
    net.ip('route', 'add', 'unreachable', '203.0.113.0/24')
    d = Daemon(t, {'rules': [conf.allow()]})
    same(http_status(d.address, http_request('203.0.113.7:80')), 502)
    d.wait_access(outcome='host-unreachable')
    same(http_status(d.address, http_request('192.0.2.1:80')), 502)
    d.wait_access(outcome='net-unreachable')


def test_name_not_found_is_502(t):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    same(http_status(d.address, http_request('missing.example:80')), 502)
    d.wait_access(outcome='name-not-found')


def test_connect_timeout_is_504(t):
    d = Daemon(t, {'timeouts': {'connect': '1s'}})
    ask = http_request(client.authority(*Silent(t).target))
    same(http_status(d.address, ask), 504)
    d.wait_access(outcome='connect-timeout')


def test_name_timeout_is_504(t):
    names = DnsServer(t, {('slow.example', 'A'): SILENT,
                          ('slow.example', 'AAAA'): SILENT})
    d = Daemon(t, {'names': {'servers': [names.address], 'timeout': '2s',
                             'tries': 1}, 'timeouts': {'name': '1s'}})
    same(http_status(d.address, http_request('slow.example:80')), 504)
    d.wait_access(outcome='name-timeout')


def test_a_head_that_does_not_end_is_408(t):
    d = Daemon(t, {'timeouts': {'handshake': '1s'}})
    with dial(d.address) as s:
        s.sendall(b'CONNECT 127.0.0.1:1 HTTP/1.1\r\n')
        same(HttpReply(s).status, 408)
        read_all(s)
    d.wait_access(outcome='handshake-timeout')


@long
def test_too_many_names_at_once_is_503(t):
    names = DnsServer(t, {(f'slow{i}.example', k): SILENT
                          for i in range(9) for k in ('A', 'AAAA')})
    d = Daemon(t, {'workers': 1,
                   'names': {'servers': [names.address], 'pending': 2,
                             'timeout': '5s', 'tries': 1},
                   'timeouts': {'name': '20s'}})
    held = []
    for i in range(2):
        s = dial(d.address)
        s.sendall(http_request(f'slow{i}.example:80'))
        held.append(s)
    eventually(lambda: len({n for n, _ in names.queries}) == 2)
    status = http_status(d.address, http_request('slow7.example:80'))
    assert status == 503, status
    for s in held:
        client.reset(s)


def test_an_error_survives_data_that_nobody_reads(t):
    d = Daemon(t)
    ask = http_request('no authority at all')
    for _ in range(20):
        with dial(d.address) as s:
            s.sendall(ask)
            s.setblocking(False)
            try:
                s.send(bytes(200000))
            except OSError:
                pass
            time.sleep(0.02)
            s.settimeout(patient(10))
            same(HttpReply(s).status, 400)


def test_an_error_ends_the_connection(t):
    d = Daemon(t)
    with dial(d.address) as s:
        s.sendall(http_request('no authority at all') * 2)
        same(HttpReply(s).status, 400)
        rest, how = client.read_to_end(s)
        assert how == 'eof' and rest.count(b'HTTP/1.1') == 0, (rest, how)


def test_one_that_shuts_down_after_its_request_is_served(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with dial(d.address) as s:
        s.sendall(http_request(f'127.0.0.1:{o.port}') + b'all I say')
        s.shutdown(socket.SHUT_WR)
        same(HttpReply(s).status, 200)
        same(read_all(s), b'all I say')


def test_a_request_names_no_secret_in_the_log(t):
    d = Daemon(t)
    o = Origin(t, echo)
    ask = (f'CONNECT 127.0.0.1:{o.port} HTTP/1.1\r\nHost: x\r\n'
           'Proxy-Authorization: Basic c2VjcmV0OnNlY3JldA==\r\n\r\n')
    s, reply = http_ask(d.address, ask.encode())
    with s:
        same(reply.status, 200)
        assert echoes(s, b'payload-of-the-test')
    d.wait_access(outcome='closed')
    assert 'c2Vj' not in d.log() and 'payload' not in d.log()


@each('1.2', '1.3')
def test_the_end_of_a_target_is_that_of_tls_and_of_tcp(t, version):
    """As over a plain connection: the client may go on, or wait for the end."""
    certificate = Certificate(t)
    d = Daemon(t, {'tls': [{'name': 'edge', 'certificate': certificate.path,
                            'key': certificate.key}],
                   'listeners': [conf.listener(tls='edge')]})
    o = Listener(t)
    with Memory(d.address, version) as c:
        c.handshake()
        c.send(http_request('%s:%d' % o.target))
        assert c.recv(100).startswith(b'HTTP/1.1 200')
        with o.accept() as far:
            far.sendall(b'bye')
            far.shutdown(socket.SHUT_WR)
            same(c.recv(3), b'bye')
            same(c.recv(1), b'')  # close_notify
            while c.more():       # FIN, though nothing was said here
                pass
            if version == '1.3':
                c.send(b'still here')
                same(read_exact(far, 10), b'still here')
            c.say_end()
            c.socket.shutdown(socket.SHUT_WR)
            same(far.recv(1), b'')
    d.wait_access(outcome='closed')
