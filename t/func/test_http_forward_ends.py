"""HTTP forwarding where something goes wrong, or has an end set to it."""
import contextlib
import socket
import threading
import time

from lib import client, conf
from lib.case import each, eventually, same, timeout
from lib.clients import guarded
from lib.daemon import Daemon
from lib.origin import Listener
from lib.tls import Certificate, context, openssl
from lib.web import Client, Stream, Web, ask, chunks, reply
from test_http_forward_people import basic

BAD_REQUESTS = {
    'an origin-form': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'another scheme': b'GET https://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n',
    'both lengths': b'POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n'
                    b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'two lengths': b'POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n'
                   b'Content-Length: 6\r\n\r\nabcdef',
    'a blank before the colon': b'GET %s HTTP/1.1\r\nHost : x\r\n\r\n',
    'a folded line': b'GET %s HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n',
    'a bare LF': b'GET %s HTTP/1.1\nHost: x\n\n',
    'a bad chunk': b'POST %s HTTP/1.1\r\nHost: x\r\n'
                   b'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
}


@each(*BAD_REQUESTS)
def test_what_could_be_understood_in_two_ways_is_400(t, what):
    d = Daemon(t)
    o = Web(t)
    bad = BAD_REQUESTS[what]
    if b'%s' in bad:
        bad = bad % f'http://127.0.0.1:{o.port}/'.encode()
    with Client(d) as c:
        same(c.get(o).status, 200)  # also where one went well before
        c.send(bad)
        answer = c.response()
        same(answer.status, 400)
        if what != 'an origin-form':  # which is well-formed
            same(answer.get('connection'), 'close')
            assert c.ended()
    same([m.method for m in o.requests], ['GET'])


def test_a_head_that_is_too_long_is_431(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        c.send(ask(o, fields=['X: ' + 'x' * 20000]))
        same(c.response().status, 431)


BAD_RESPONSES = {
    'no HTTP': b'SSH-2.0-OpenSSH\r\n\r\n',
    'both lengths': b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'
                    b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'two lengths': b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'
                   b'Content-Length: 6\r\n\r\nabcdef',
    'a bad chunk': reply(b'zz\r\n', fields=['Transfer-Encoding: chunked'],
                         length=False),
    'a long head': b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 20000,
    '1xx without end': b'HTTP/1.1 102 Processing\r\n\r\n' * 100,
}


@each(*BAD_RESPONSES)
def test_a_bad_response_is_502(t, what):
    d = Daemon(t)
    o = Web(t, lambda m: BAD_RESPONSES[what])
    with Client(d) as c:
        c.send(ask(o))
        answer = c.response()
        while answer.status == 102:
            answer = c.response()
        same(answer.status, 502)
    d.wait_access(outcome='bad-response')


def test_a_request_follows_one_that_failed_at_its_target(t):
    """Also where it is there already, so that the connection does not rest."""
    d = Daemon(t)
    bad = Web(t, lambda m: b'SSH-2.0-OpenSSH\r\n\r\n')
    gone = Web(t, lambda m: None)
    o = Web(t)
    with Client(d) as c:
        c.send(ask(bad) + ask(gone) + ask(o))
        same([c.response().status for _ in range(3)], [502, 502, 200])
        same(c.get(o).status, 200)
    d.wait_access(1, outcome='bad-response')
    d.wait_access(2, outcome='closed')


def test_a_target_that_leaves_is_502(t):
    d = Daemon(t)
    o = Web(t, lambda m: None)
    with Client(d) as c:
        same(c.get(o, method='POST', body=b'x').status, 502)
    d.wait_access(outcome='target-left')


@each('length', 'chunked')
def test_a_response_that_is_cut_short_ends_in_a_reset(t, coding):
    d = Daemon(t)
    whole = reply(b'x' * 5000) if coding == 'length' else reply(
        chunks(b'x' * 5000), fields=['Transfer-Encoding: chunked'],
        length=False)

    o = Web(t)

    def speak(s):
        Stream(s).request()
        s.sendall(whole[:-10])
    o.serve = speak
    with Client(d) as c:
        c.send(ask(o))
        same(client.read_to_end(c.s)[1], 'reset')
    d.wait_access(outcome='target-reset')


def test_a_target_that_does_not_answer_is_504(t):
    d = Daemon(t, {'http': {'response': '300ms'}})
    o = Listener(t)
    with Client(d) as c:
        same(c.get(o).status, 504)
    d.wait_access(outcome='target-timeout')


def test_silence_within_a_body_ends_it(t):
    d = Daemon(t, {'timeouts': {'idle': '300ms'}})
    o = Listener(t)
    with Client(d) as c:
        with c.asks(o) as far:
            far.sendall(reply(b'x' * 100)[:-1])
            same(client.read_to_end(c.s)[1], 'reset')
    d.wait_access(outcome='idle')


def test_a_client_that_leaves_is_noticed(t):
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        with c.asks(o) as far:
            client.reset(c.s)
            same(client.read_to_end(far)[0], b'')
    d.wait_access(outcome='client-left')


def test_an_upload_that_is_cut_short_ends_in_a_reset(t):
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        c.send(ask(o, method='PUT', body=b'x' * 100)[:-1])
        with o.accept() as far:
            Stream(far).head()
            c.s.shutdown(socket.SHUT_WR)
            same(client.read_to_end(far)[1], 'reset')
    d.wait_access(outcome='client-left')


@each('length', 'chunked', '100-continue')
def test_an_upload_that_stalls_is_408(t, how):
    """Unless it is the target that it waits for."""
    d = Daemon(t, {'timeouts': {'idle': '300ms'}})
    o = Listener(t)
    fields = {'length': ['Content-Length: 100'],
              'chunked': ['Transfer-Encoding: chunked'],
              '100-continue': ['Content-Length: 5', 'Expect: 100-continue']}
    waits = how == '100-continue'
    with Client(d) as c:
        c.send(ask(o, method='POST', fields=fields[how]))
        if not waits:
            c.send(b'5\r\nhello')
        with o.accept() as far:
            Stream(far).head()
            answer = c.response()
            same((answer.status, answer.get('connection')),
                 (504 if waits else 408, 'close'))
            assert client.read_to_end(far)[1] == 'reset'
        assert c.ended()
    d.wait_access(outcome='target-timeout' if waits else 'idle')


@each('length', 'chunked')
def test_an_upload_that_a_target_does_not_take_is_504(t, how):
    """Which is no silence of the client, who has more to send."""
    d = Daemon(t, {'timeouts': {'idle': '1s'}})
    o = Listener(t, receive=65536)
    body = bytes(64 << 20)
    fields, data = {
        'length': ([f'Content-Length: {len(body)}'], body),
        'chunked': (['Transfer-Encoding: chunked'], chunks(body, 1 << 16)),
    }[how]

    def upload(s):
        with contextlib.suppress(OSError):
            s.sendall(data)
    with Client(d) as c:
        c.send(ask(o, method='POST', fields=fields))
        thread = threading.Thread(target=upload, args=(c.s,))
        thread.start()
        with o.accept():
            same(c.response().status, 504)
            c.s.shutdown(socket.SHUT_RDWR)
            thread.join()
    d.wait_access(outcome='target-timeout')


def taken(s, most):
    """How much of so many bytes is taken before the connection ends."""
    gone = 0
    try:
        while gone < most:
            gone += s.send(bytes(1 << 14))
    except OSError:
        pass
    return gone


@each('a tunnel', 'a GET', 'no request', 'a bad chunk')
def test_who_is_refused_is_not_read_for_long(t, what):
    d = Daemon(t, {} if 'chunk' in what else {'rules': []})
    o = Web(t)
    asked = {'a tunnel': b'CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n',
             'a GET': ask(o, fields=['Connection: close']),
             'no request': b'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
             'a bad chunk': ask(o, method='POST', fields=[
                 'Transfer-Encoding: chunked']) + b'zz\r\n'}
    most = 32 << 20
    with Client(d) as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        c.send(asked[what] + b'x')
        assert c.head().status in (400, 403)
        assert taken(c.s, most) < most


# --- Memory -----------------------------------------------------------------

def stuck(s, data):
    """How much of it goes before nothing has gone for a while."""
    s.settimeout(0.5)
    gone = 0
    try:
        while gone < len(data):
            gone += s.send(data[gone:gone + (1 << 16)])
    except TimeoutError:
        pass
    return gone


@timeout(60)
@each('down length', 'down chunked', 'up length', 'up chunked')
def test_who_does_not_read_costs_little(t, what):
    way, coding = what.split()
    d = Daemon(t)
    o = Listener(t, receive=65536)
    body = bytes(64 << 20)
    data = body if coding == 'length' else chunks(body, 1000)
    fields = [f'Content-Length: {len(body)}'] if coding == 'length' else \
        ['Transfer-Encoding: chunked']
    with Client(d, receive=65536) as c:
        if way == 'up':
            c.send(ask(o, method='POST', fields=fields))
        else:
            c.send(ask(o))
        with o.accept() as far:
            if way == 'down':
                Stream(far).request()
                far.sendall(reply(fields=fields, length=False))
            before = d.memory()
            # The kernel takes tcp_rmem and twice tcp_wmem of it, some 40 MiB.
            assert stuck(c.s if way == 'up' else far, data) < len(data)
            assert d.memory() < before + (4 << 20), (before, d.memory())


# --- The daemon's own ends --------------------------------------------------

def test_an_idle_client_does_not_hold_a_generation(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as idle, Client(d) as busy:
        same(idle.get(o).status, 200)
        slow = Listener(t)
        busy.send(ask(slow))
        with slow.accept() as far:
            Stream(far).request()
            d.reload(rebase=False)
            assert idle.ended()
            far.sendall(reply(b'late'))
            answer = busy.response()
            same((answer.body, answer.get('connection')), (b'late', 'close'))
            assert busy.ended()
    d.wait_alone()


def test_over_tls_the_same(t):
    """There a connection needs a task between two requests."""
    d = Daemon(t)
    certificate = Certificate(t, 'localhost')
    d.reload({'tls': [{'name': 'edge', 'certificate': certificate.path,
                       'key': certificate.key}],
              'listeners': [conf.listener(tls='edge')],
              'http': {'keep_alive': '30s'}})
    o = Web(t)

    def secure():
        c = Client(d)
        c.s = context().wrap_socket(c.s, server_hostname='localhost')
        return c
    with secure() as idle, secure() as c:
        for i in range(5):
            body = bytes(i * 30000)
            same(idle.get(o, method='POST', body=body).body, b'fine')
        same(o.requests[-1].body, body)
        same(c.get(o).status, 200)
        d.reload(rebase=False)
        assert idle.ended() and c.ended()
    d.wait_access(6, command='request', outcome='closed')
    d.write({'http': {'keep_alive': '300ms'}})
    d.reload(rebase=False)
    with secure() as c:
        same(c.get(o).status, 200)
        assert c.ended()
    d.wait_alone()
    d.rebase()


def test_bandwidth_holds_for_bodies(t):
    rate = 400_000
    d = Daemon(t, {'rules': [conf.allow(bandwidth=f'{rate}')]})
    o = Web(t, lambda m: reply(bytes(300_000)))
    began = time.monotonic()
    with Client(d) as c:
        for _ in range(2):
            same(len(c.get(o).body), 300_000)
    assert time.monotonic() - began > 0.8, 'faster than its rate'


def test_bandwidth_holds_for_many_small_uploads(t):
    d = Daemon(t, {'rules': [conf.allow(bandwidth='400000')]})
    o = Web(t)
    began = time.monotonic()
    with Client(d) as c:
        for _ in range(100):
            same(c.get(o, method='POST', body=bytes(6000)).status, 200)
    assert time.monotonic() - began > 0.8, 'faster than its rate'


def test_a_rule_says_whether_the_begin_is_logged(t):
    d = Daemon(t, {'rules': [conf.allow(log=['connect'])]})
    o = Web(t)
    with Client(d) as c:
        for _ in range(2):
            same(c.get(o).status, 200)
    eventually(lambda: d.log().count('event=connect ') == 2)
    assert 'event=disconnect' not in d.log()


def test_who_is_gone_is_ended(t):
    d = guarded(t)
    o = Listener(t)
    with Client(d) as c:
        c.send(ask(o, fields=[basic()]))
        with o.accept() as far:
            Stream(far).request()
            hashed = openssl(t, 'passwd', '-6', 'x')
            t.file('users', f'bob:{hashed}')
            d.control.run('refresh', '--enforce')
            same(client.read_to_end(c.s)[0], b'')
    d.wait_access(outcome='killed')


def test_limits_count_requests_of_a_connection_once(t):
    d = Daemon(t, {'limits': {'per_client': 1}})
    o = Web(t)
    with Client(d) as c:
        for _ in range(3):
            same(c.get(o).status, 200)
        d.wait_access(3, outcome='closed')
        with client.dial(d.address):
            d.wait_access(outcome='limit-client')

    def comes_in():
        with Client(d) as other:
            try:
                return other.get(o).status == 200
            except (OSError, EOFError):
                return False
    eventually(comes_in)
