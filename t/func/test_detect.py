"""Which protocol a connection speaks: the first byte says so."""
from lib import client, conf
from lib.case import each, same, valgrind
from lib.client import HttpReply, dial, http_request, read_to_end
from lib.daemon import Daemon
from lib.origin import Origin, echo

NEITHER = {
    'socks3': b'\3\1\0\x50\x7f\0\0\1\0',
    'socks6': b'\6\1\0\x50\x7f\0\0\1\0',
    'tls': b'\x16\3\1\2\0\1\0\1\xfc\3\3' + bytes(40),
    'zero': bytes(100),
    'ff': b'\xff' * 100,
    'lowercase': b'connect 127.0.0.1:80 HTTP/1.1\r\n\r\n',
    'space': b' CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n',
    'newline': b'\r\nCONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n',
    'digit': b'7',
}


@valgrind
@each(*NEITHER)
def test_anything_else_is_closed_cleanly(t, what):
    d = Daemon(t)
    with dial(d.address) as s:
        s.sendall(NEITHER[what])
        same(read_to_end(s), (b'', 'eof'))
    d.wait_access(outcome='bad-protocol')


def test_anything_else_is_closed_cleanly_however_long(t):
    d = Daemon(t)
    with dial(d.address) as s:
        s.sendall(b'\x16' + bytes(100000))
        same(read_to_end(s), (b'', 'eof'))


def test_a_listener_without_socks4_does_not_speak_it(t):
    d = Daemon(t, {'listeners': [conf.listener(protocols=['socks5',
                                                          'http'])]})
    with dial(d.address) as s:
        s.sendall(client.socks4_request('127.0.0.1', 80))
        same(read_to_end(s), (b'', 'eof'))
    d.wait_access(outcome='bad-protocol')


def test_all_protocols_share_a_port(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for address in d.addresses:
        for protocol in ('socks5', 'socks4', 'http') * 3:
            with client.tunnel(address, o.target, protocol) as s:
                assert client.echoes(s)


def test_a_listener_without_http_does_not_speak_it(t):
    d = Daemon(t, {'listeners': [conf.listener(protocols=['socks5'])]})
    with dial(d.address) as s:
        s.sendall(http_request('127.0.0.1:80'))
        same(read_to_end(s), (b'', 'eof'))
    d.wait_access(outcome='bad-protocol')
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target, 'socks5') as s:
        assert client.echoes(s)


def test_a_listener_without_socks5_does_not_speak_it(t):
    d = Daemon(t, {'listeners': [conf.listener(protocols=['http'])]})
    with dial(d.address) as s:
        s.sendall(b'\5\1\0')
        same(read_to_end(s), (b'', 'eof'))
    d.wait_access(outcome='bad-protocol')
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target, 'http') as s:
        assert client.echoes(s)


def test_a_client_that_says_nothing_and_leaves_is_no_trouble(t):
    d = Daemon(t)
    for i in range(50):
        s = dial(d.address)
        if i % 2:
            client.reset(s)
        else:
            s.close()
    d.wait_rest()


def test_the_second_word_decides_no_more(t):
    d = Daemon(t)
    with dial(d.address) as s:
        s.sendall(b'C\5\1\0 x\r\n\r\n')
        same(HttpReply(s).status, 400)
