"""Bodies of forwarded requests and responses, and what comes beside them."""
import contextlib
import socket

from lib import client
from lib.case import each, same, timeout, valgrind
from lib.clients import curl
from lib.daemon import Daemon
from lib.origin import Listener, Origin
from lib.web import Client, Stream, Web, ask, chunks, reply, uri

BIG = client.noise(3 << 20)


def mirror(m):
    """Sends a body back as it came."""
    if m.get('transfer-encoding'):
        return reply(chunks(m.body, 5000, ['X-Sum: 1', 'X-More: 2']),
                     fields=['Transfer-Encoding: chunked',
                             'Trailer: X-Sum'], length=False)
    return reply(m.body)


@timeout(60)
@each('0', '1', '1000', '40000', '70000', '3145728')
def test_bodies_pass_in_both_directions(t, size):
    d = Daemon(t)
    o = Web(t, mirror)
    body = BIG[:int(size)]
    with Client(d) as c:
        c.send(ask(o, method='POST', fields=[f'Content-Length: {size}']) +
               body)
        assert c.response().body == body
        # Python takes long for many small ones.
        lengths = (100, 4000, 200000)[int(size) > 1 << 20:]
        for length in lengths:
            c.send(ask(o, method='POST',
                       fields=['Transfer-Encoding: chunked']) +
                   chunks(body, length, ['T: 1']))
            answer = c.response()
            assert answer.body == body
            same(answer.trailers, ['X-Sum: 1', 'X-More: 2'])
            same(o.requests[-1].trailers, ['T: 1'])
    same(o.accepted, 1)
    line = d.wait_access(1 + len(lengths), command='request')
    assert int(line['up']) > int(size), line
    assert int(line['down']) > int(size), line


@valgrind
def test_a_request_may_be_split_at_any_byte(t):
    d = Daemon(t)
    o = Web(t, mirror)
    whole = ask(o, '/x', method='POST', fields=[
        'Transfer-Encoding: chunked']) + chunks(b'some words', 4, ['T: 1'])
    clients = []
    for at in range(1, len(whole)):
        c = Client(d)
        c.send(whole[:at])
        clients.append((at, c))
    for _, c in clients:
        client.delivered(c.s)
    for at, c in clients:
        c.send(whole[at:] + ask(o))
    for at, c in clients:
        with c:
            same(c.response().body, b'some words')
            same(c.response().status, 200)


@valgrind
def test_a_response_may_be_split_at_any_byte(t):
    d = Daemon(t)
    o = Listener(t)
    whole = b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' + reply(
        chunks(b'some words', 4, ['T: 1']),
        fields=['Transfer-Encoding: chunked'], length=False)
    pairs = []
    for at in range(1, len(whole)):
        c = Client(d)
        c.send(ask(o))
        far = o.accept()
        Stream(far).request()
        far.sendall(whole[:at])
        pairs.append((at, c, far))
    for _, _, far in pairs:
        client.delivered(far)
    for at, c, far in pairs:
        with c, far:
            far.sendall(whole[at:])
            same(c.response().status, 103)
            same(c.response().body, b'some words')


def test_a_byte_at_a_time(t):
    d = Daemon(t)
    o = Listener(t)
    asked = ask(o, method='PUT', body=b'up')
    answer = reply(b'down')
    with Client(d) as c:
        for i in range(len(asked)):
            c.send(asked[i:i + 1])
        with o.accept() as far:
            same(Stream(far).request().body, b'up')
            for i in range(len(answer)):
                far.sendall(answer[i:i + 1])
            same(c.response().body, b'down')


@each('HEAD /', 'GET /204', 'GET /304')
def test_some_responses_have_no_body(t, what):
    d = Daemon(t, {'workers': 1})
    method, path = what.split()
    o = Web(t, {'/': reply(length=False, fields=['Content-Length: 500']),
                '/204': reply(status='204 No Content', length=False),
                '/304': reply(status='304 Not Modified', length=False,
                              fields=['Content-Length: 500']),
                '/next': reply(b'next')})
    with Client(d) as c:
        for _ in range(3):
            answer = c.get(o, path, method=method)
            same(answer.status, 200 if path == '/' else int(path[1:]))
            same(answer.get('content-length'),
                 None if path == '/204' else '500')
            same(c.get(o, '/next').body, b'next')
    same(o.accepted, 1)


def test_a_client_may_wait_for_100(t):
    d = Daemon(t)
    o = Listener(t)
    head = ask(o, method='POST', fields=['Content-Length: 4',
                                         'Expect: 100-continue'])
    with Client(d) as c:
        c.send(head)
        with o.accept() as far:
            stream = Stream(far)
            same(stream.head().get('expect'), '100-continue')
            far.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
            same(c.response().status, 100)
            c.send(b'body')
            same(stream.exactly(4), b'body')
            far.sendall(reply(b'thanks'))
            same(c.response().body, b'thanks')
            # One who is told no does not send it: nobody knows what follows.
            c.send(head)
            stream.head()
            far.sendall(reply(b'no', '417 Expectation Failed'))
            answer = c.response()
            same((answer.status, answer.get('connection')), (417, 'close'))
            assert c.ended()


def test_interim_responses_are_for_those_who_know_them(t):
    d = Daemon(t)
    early = b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
    o = Web(t, lambda m: early * 3 + reply(b'x'))
    with Client(d) as c:
        c.send(ask(o))
        same([c.response().status for _ in range(4)], [103] * 3 + [200])
        c.send(ask(o, version='HTTP/1.0'))
        same(c.response().status, 200)


def test_both_ways_at_once(t):
    """What an echo would need that begins before the request ends."""
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        c.send(ask(o, method='POST', fields=['Transfer-Encoding: chunked']))
        with o.accept() as far:
            stream = Stream(far)
            stream.head()
            far.sendall(reply(length=False,
                              fields=['Transfer-Encoding: chunked']))
            same(c.head().status, 200)
            for i in range(20):
                word = b'%d' % i * 3000
                c.send(chunks(word)[:-5])
                got = b''
                while len(got) < len(word):
                    got += stream.chunk()
                far.sendall(chunks(got)[:-5])
                got = b''
                while len(got) < len(word):
                    got += c.chunk()
                same(got, word)
            c.send(b'0\r\n\r\n')
            same(stream.chunk(), b'')
            far.sendall(b'0\r\n\r\n')
            same(c.chunk(), b'')


@timeout(60)
@each('length', 'chunked')
def test_an_answer_may_come_before_the_request_has_ended(t, coding):
    d = Daemon(t)
    o = Listener(t)
    body = bytes(20 << 20)
    if coding == 'length':
        fields, data = [f'Content-Length: {len(body)}'], body
    else:
        fields, data = ['Transfer-Encoding: chunked'], chunks(body, 1 << 16)
    with Client(d) as c:
        c.send(ask(o, method='POST', fields=fields))
        with o.accept() as far:
            Stream(far).head()
            far.sendall(reply(b'too much', '413 Content Too Large',
                              ['Connection: close']))
            client.delivered(far)
            with contextlib.suppress(OSError):  # we may have hung up before
                far.shutdown(socket.SHUT_WR)
            c.send(data)  # all of it, although nobody wants it
            answer = c.response()
            same((answer.status, answer.body), (413, b'too much'))
            same(answer.get('connection'), 'close')


def test_a_tunnel_by_upgrade(t):
    d = Daemon(t)
    o = Listener(t)
    fields = ['Connection: keep-alive, Upgrade', 'Upgrade: websocket']
    with Client(d) as c:
        c.send(ask(o, '/chat', fields=fields) + b'early')
        with o.accept() as far:
            stream = Stream(far)
            m = stream.request()
            same((m.get('upgrade'), m.get('connection').lower()),
                 ('websocket', 'upgrade'))
            far.sendall(b'HTTP/1.1 101 Switching Protocols\r\n'
                        b'Connection: upgrade\r\nUpgrade: websocket\r\n\r\n'
                        b'first')
            m = c.head()
            same((m.status, m.get('upgrade')), (101, 'websocket'))
            same(c.exactly(5), b'first')
            same(stream.exactly(5), b'early')
            for size in (1, 100, 100000):
                c.send(BIG[:size])
                assert stream.exactly(size) == BIG[:size]
                far.sendall(BIG[:size])
                assert c.exactly(size) == BIG[:size]
    same(d.wait_access(command='request')['outcome'], 'closed')


def test_an_upgrade_that_is_refused_is_a_request(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        for _ in range(2):
            same(c.get(o, fields=['Connection: Upgrade',
                                  'Upgrade: websocket']).body, b'fine')


def test_nobody_changes_protocols_unasked(t):
    d = Daemon(t)
    o = Web(t, lambda m: b'HTTP/1.1 101 x\r\nConnection: upgrade\r\n'
                         b'Upgrade: h2c\r\n\r\n')
    with Client(d) as c:
        same(c.get(o).status, 502)


# --- Responses that end with their connection ---------------------------------

def until_close(body, version='HTTP/1.0'):
    def serve(s):
        Stream(s).request()
        s.sendall(f'{version} 200 OK\r\nX-A: b\r\n\r\n'.encode() + body)
    return serve


@each(0, 1, 50000, 3 << 20)
def test_a_response_without_a_length_goes_in_chunks(t, size):
    d = Daemon(t, {'workers': 1})
    body = client.noise(size) if size else b''
    o, web = Origin(t, until_close(body)), Web(t)
    with Client(d) as c:
        for _ in range(3):
            answer = c.get(o)
            same((answer.get('transfer-encoding'), answer.get('connection'),
                  answer.version), ('chunked', None, 'HTTP/1.1'))
            assert answer.body == body
            same(c.get(web).body, b'fine')
    d.wait_access(6, outcome='closed')


@each('HTTP/1.0', 'close', 'HEAD')
def test_who_wants_no_more_gets_it_as_it_comes(t, what):
    d = Daemon(t)
    o = Origin(t, until_close(b'' if what == 'HEAD' else b'x' * 50000))
    with Client(d) as c:
        if what == 'HEAD':
            same(c.get(o, method='HEAD').get('transfer-encoding'), None)
            return
        c.send(ask(o, version='HTTP/1.0') if what == 'HTTP/1.0' else
               ask(o, fields=['Connection: close']))
        answer = c.response()
        same((answer.get('transfer-encoding'), answer.get('connection')),
             (None, 'close'))
        same(answer.body, b'x' * 50000)


def test_what_comes_piece_by_piece_is_a_chunk_each(t):
    """At once: events of a server are such responses."""
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        with c.asks(o) as far:
            far.sendall(b'HTTP/1.0 200 OK\r\n\r\none')
            c.head()
            same(c.chunk(), b'one')
            for piece in (b'two', b'three' * 100):
                far.sendall(piece)
                same(c.chunk(), piece)
        same((c.chunk(), c.until(b'\r\n')), (b'', b'\r\n'))


def test_one_that_breaks_off_ends_in_a_reset(t):
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        with c.asks(o) as far:
            far.sendall(b'HTTP/1.0 200 OK\r\n\r\none')
            c.head()
            same(c.chunk(), b'one')
            client.reset(far)
        same(client.read_to_end(c.s)[1], 'reset')


def test_curl_keeps_its_connection(t):
    d = Daemon(t)
    o = Origin(t, until_close(b'x' * 5000))
    code, out, err = curl(t, '-o', '/dev/null', '-o', '/dev/null', '-x',
                          'http://%s:%d' % d.address, '-w',
                          '%{num_connects} %{size_download}\n', uri(o),
                          uri(o))
    same((code, out.split(), err), (0, [b'1', b'5000', b'0', b'5000'], ''))


@each('pieces of one byte', 'interim ones too')
def test_heads_may_come_byte_by_byte(t, kind):
    d = Daemon(t)
    o = Listener(t)
    head = reply(b'fine', fields=['X-Long: ' + 'y' * 1500])
    if 'interim' in kind:
        head = b'HTTP/1.1 102 Processing\r\nX: z\r\n\r\n' * 3 + head
    with Client(d) as c:
        with c.asks(o) as far:
            for i in range(len(head)):
                far.sendall(head[i:i + 1])
            answer = c.response()
            while answer.status == 102:
                same(answer.get('x'), 'z')
                answer = c.response()
            same((answer.body, answer.get('x-long')), (b'fine', 'y' * 1500))
