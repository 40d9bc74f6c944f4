"""Requests in absolute-form: what is passed on, and when connections stay."""
import contextlib
import re
import socket

from lib import client, conf
from lib.case import each, eventually, same, valgrind
from lib.daemon import Daemon
from lib.origin import Listener, unused_port
from lib.web import Client, End, Stream, Web, ask, chunks, reply, uri

BIG = client.noise(3 << 20)


def sent(o):
    """The last request that came, as (name, value) pairs."""
    return dict(o.requests[-1].fields)


# --- Heads ------------------------------------------------------------------

@valgrind
def test_a_request_is_forwarded_in_origin_form(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        answer = c.get(o, '/a/b?c=d', fields=['X-One: 1'])
        same((answer.status, answer.body), (200, b'fine'))
    same(o.requests[0].first, 'GET /a/b?c=d HTTP/1.1')
    fields = sent(o)
    same(fields['host'], f'127.0.0.1:{o.port}')
    same(fields['x-one'], '1')
    assert re.fullmatch(r'1\.1 spliced-[0-9a-f]{8}', fields['via']), fields
    assert 'connection' not in fields, fields
    line = d.wait_access(command='request', protocol='http')
    same(line['target'], f'127.0.0.1:{o.port}')
    same(line['outcome'], 'closed')


def test_host_is_what_the_target_says(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        c.send(f'GET {uri(o)} HTTP/1.1\r\nHost: elsewhere\r\n\r\n'.encode())
        same(c.response().status, 200)
    same(o.requests[0].get('host'), f'127.0.0.1:{o.port}')


def test_an_empty_path_is_a_slash(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        for path, method, wanted in (('', 'GET', '/'), ('?q', 'GET', '/?q'),
                                     ('', 'OPTIONS', '*')):
            same(c.get(o, path, method=method).status, 200)
            same(o.requests[-1].first, f'{method} {wanted} HTTP/1.1')


def test_what_ends_at_a_proxy_is_not_passed_on(t):
    d = Daemon(t)
    hop = ['Connection: X-Mine, keep-alive', 'X-Mine: 1', 'Keep-Alive: 5',
           'TE: trailers', 'Proxy-Connection: keep-alive',
           'Proxy-Authenticate: Basic', 'Upgrade: h2c', 'X-Kept: yes']
    o = Web(t, lambda m: reply(b'x', fields=hop))
    asked = [*hop, 'Proxy-Authorization: Basic eDp5']
    with Client(d) as c:
        answer = c.get(o, fields=asked)
    for fields in (dict(o.requests[0].fields), dict(answer.fields)):
        same(fields.pop('x-kept'), 'yes')
        for gone in ('x-mine', 'keep-alive', 'te', 'proxy-connection',
                     'proxy-authorization', 'proxy-authenticate', 'upgrade',
                     'connection'):
            assert gone not in fields, fields
    same(answer.get('via'), o.requests[0].get('via'))


@each('off', 'forwarded', 'x-forwarded-for', 'both')
def test_forwarded(t, kind):
    d = Daemon(t, {'http': {'forwarded': kind, 'via': 'a.proxy'}})
    o = Web(t)
    with Client(d) as c:
        c.get(o, fields=['Via: 1.0 first', 'X-Forwarded-For: 192.0.2.1'])
    fields = sent(o)
    same(fields['via'], '1.0 first, 1.1 a.proxy')
    same(fields.get('forwarded'),
         'for=127.0.0.1' if kind in ('forwarded', 'both') else None)
    same(fields['x-forwarded-for'], '192.0.2.1, 127.0.0.1'
         if kind in ('x-forwarded-for', 'both') else '192.0.2.1')


def test_no_via(t):
    d = Daemon(t, {'http': {'via': ''}})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).get('via'), None)
    same(o.requests[0].get('via'), None)


@each('OPTIONS', 'TRACE')
def test_what_is_to_go_no_further_is_answered(t, method):
    """RFC 9110, section 7.6.2."""
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        for _ in range(2):
            answer = c.get(o, method=method, fields=['Max-Forwards: 0'])
            same(answer.status, 200 if method == 'OPTIONS' else 405)
            allowed = answer.get('allow').split(', ')
            assert {'CONNECT', 'GET', 'POST'} <= set(allowed), allowed
            assert 'TRACE' not in allowed, allowed
        same(o.requests, [])
        for word in allowed[1:]:
            same(c.get(o, method=word).status, 200)
    same([m.method for m in o.requests], allowed[1:])


@each('auto', 'name')
def test_a_request_that_was_here_before_is_508(t, via):
    d = Daemon(t, {'http': {'via': via}})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o, fields=['Via: 1.1 other']).status, 200)
        came = o.requests[0].get('via')
        assert came.startswith('1.1 other, 1.1 '), came
        same(c.get(o, fields=[f'Via: {came}']).status, 508)
    d.wait_access(outcome='loop')


def test_the_name_in_via_stays_and_is_no_others(t):
    seen = []
    o = Web(t)
    for name in ('a', 'b'):
        d = Daemon(t, {'listeners': [conf.listener(name=name)]})
        for _ in range(2):
            with Client(d) as c:
                c.get(o)
            seen.append(o.requests[-1].get('via'))
            d.reload()
    same(seen[0], seen[1])
    same(seen[2], seen[3])
    assert seen[0] != seen[2], seen


def test_a_request_to_ourselves_is_403(t):
    d = Daemon(t, {'http': {'via': ''}})
    with Client(d) as c:
        host, port = d.address
        c.send(f'GET http://{host}:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n'
               .encode())
        same(c.response().status, 403)


# --- Connections ------------------------------------------------------------

def test_connections_are_used_again_on_both_sides(t):
    d = Daemon(t, {'workers': 1})
    o = Web(t)
    with Client(d) as c:
        for _ in range(5):
            same(c.get(o).body, b'fine')
    with Client(d) as c:
        same(c.get(o).body, b'fine')
    same(o.accepted, 1)
    d.wait_access(6, command='request', outcome='closed')


def test_pipelined_requests_are_answered_in_order(t):
    d = Daemon(t)
    o = Web(t, lambda m: reply(m.path.encode() + m.body))
    count = 50
    with Client(d) as c:
        c.send(b''.join(ask(o, f'/{i}', method='POST', body=b'x' * i)
                        for i in range(count)))
        for i in range(count):
            same(c.response().body, b'/%d' % i + b'x' * i)
    d.wait_access(count, command='request')


def test_heads_of_any_length_come_by_one_connection(t):
    d = Daemon(t)
    o = Web(t, lambda m: reply(m.get('x', '').encode()))
    with Client(d) as c:
        for length in (0, 300, 450, 1000, 9000, 15000, 10, 600):
            same(c.get(o, fields=['X: ' + 'x' * length]).body, b'x' * length)


def test_a_client_may_have_nothing_more_to_say(t):
    d = Daemon(t)
    o = Listener(t)
    with Client(d) as c:
        c.send(ask(o))
        c.s.shutdown(socket.SHUT_WR)
        with o.accept() as far:
            Stream(far).request()
            far.sendall(reply(b'answer'))
            same(c.response().body, b'answer')
        assert c.ended()


@each('Connection: close', 'Proxy-Connection: close')
def test_a_client_may_end_it(t, field):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        answer = c.get(o, fields=[field])
        same(answer.get('connection'), 'close')
        assert c.ended()


def test_a_client_of_http_1_0_gets_one_answer(t):
    d = Daemon(t)
    o = Web(t, lambda m: reply(chunks(b'0123456789' * 500, 77, ['T: 1']),
                               fields=['Transfer-Encoding: chunked'],
                               length=False))
    with Client(d) as c:
        c.send(ask(o, version='HTTP/1.0'))
        answer = c.response()
        same(answer.get('transfer-encoding'), None)
        same(answer.body, b'0123456789' * 500)
    same(o.requests[0].version, 'HTTP/1.1')


@each('GET', 'POST')
def test_a_timeout_that_nobody_asked_for_is_no_answer(t, method):
    """A server says so to who was silent, be it as a request leaves."""
    d = Daemon(t, {'workers': 1})
    late = reply(b'late', status='408 Request Timeout')

    def answer(m):
        return late if m.path == '/late' and o.accepted == 1 else reply(b'ok')
    o = Web(t, answer)
    with Client(d) as c:
        same(c.get(o).body, b'ok')
        answer = c.get(o, '/late', method=method)
        same((answer.status, o.accepted),
             (200, 2) if method == 'GET' else (408, 1))


def test_a_response_may_end_with_its_connection(t):
    """Where the client's is to end anyway."""
    d = Daemon(t, {'http': {'keep_alive': '0'}})
    o = Web(t, lambda m: reply(BIG, length=False))

    def speak(s):
        stream = Stream(s)
        stream.request()
        s.sendall(reply(BIG, length=False))
    o.serve = speak
    with Client(d) as c:
        answer = c.get(o)
        same(answer.get('connection'), 'close')
        assert answer.body == BIG
        assert c.ended()


def test_a_silent_client_is_closed_after_a_while(t):
    d = Daemon(t, {'http': {'keep_alive': '300ms'}})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 200)
        assert c.ended()
    d.wait_access(1)
    same(len(d.access()), 1)


@each('NTLM TlRM', 'negotiate TlRM')
def test_a_login_of_a_connection_is_not_for_the_next_client(t, login):
    """NTLM: 401 once more, and then all that follows is this user's."""
    d = Daemon(t, {'workers': 1})
    o = Web(t, lambda m: reply(status='401 Unauthorized' if m.path == '/401'
                               else '200 OK'))
    with Client(d) as c, Client(d) as other:
        same(c.get(o, '/401', fields=[f'Authorization: {login}']).status, 401)
        same(c.get(o, fields=[f'Authorization: {login}']).status, 200)
        same(o.accepted, 1)
        same(other.get(o).status, 200)
        same(c.get(o, fields=['Authorization: Basic eDp5']).status, 200)
    same(o.accepted, 2)


def test_one_request_a_connection(t):
    d = Daemon(t, {'http': {'keep_alive': '0', 'pool': 0}})
    o = Web(t)
    for i in range(2):
        with Client(d) as c:
            same(c.get(o).get('connection'), 'close')
            assert c.ended()
        same(o.requests[i].get('connection'), 'close')
    same(o.accepted, 2)


def test_an_idle_connection_that_the_target_closed_is_not_used(t):
    d = Daemon(t, {'workers': 1})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 200)
        o.hang_up()
        eventually(lambda: d.descriptors()['socket'] <=
                   d.base['socket'] + 1, 10, 'it is closed')
        # No second try would be right for this one.
        same(c.get(o, method='POST', body=b'x').status, 200)
    same(o.accepted, 2)


def test_an_idle_connection_is_closed_after_a_while(t):
    d = Daemon(t, {'http': {'pool_idle': '200ms'}})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 200)
    d.wait_rest()


def died_unseen(t, *asks):
    """Answers to requests of which each second one kills its connection."""
    d = Daemon(t, {'workers': 1})
    o = Web(t)

    def speak(s):
        o.sockets.append(s)
        stream = Stream(s)
        o.requests.append(stream.request())
        s.sendall(reply(b'fine'))
        with contextlib.suppress(End):
            o.requests.append(stream.request())
    o.serve = speak
    with Client(d) as c:
        return o, [c.get(o, method=m, body=b) for m, b in asks]


@each('GET', 'PUT')
def test_a_request_goes_out_again_where_that_does_no_harm(t, method):
    o, answers = died_unseen(t, ('GET', b''), (method, b'x' * 100))
    same([a.status for a in answers], [200, 200])
    same(o.accepted, 2)
    same(o.requests[-1].body, o.requests[-2].body)


def test_others_are_not_sent_twice(t):
    o, answers = died_unseen(t, ('GET', b''), ('POST', b'x'))
    same([a.status for a in answers], [200, 502])
    same(o.accepted, 1)


def test_one_target_does_not_get_the_place_of_others(t):
    d = Daemon(t, {'workers': 1, 'http': {'pool': 4, 'pool_per_target': 2}})
    o = [Web(t) for _ in range(6)]
    clients = [Client(d) for _ in range(3)]
    for c in clients:
        c.send(ask(o[0]))
    for c in clients:
        same(c.response().status, 200)
    eventually(lambda: d.descriptors()['socket'] <= d.base['socket'] + 5, 10,
               'two of three are kept')
    for c in clients:
        c.s.close()
    with Client(d) as c:
        for one in o:
            same(c.get(one).status, 200)
    eventually(lambda: d.descriptors()['socket'] <= d.base['socket'] + 4, 10,
               'four are kept')


def test_a_target_that_does_not_listen_is_502(t):
    d = Daemon(t)
    port = unused_port()
    with Client(d) as c:
        for _ in range(2):  # the connection stays
            c.send(f'GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n'
                   .encode())
            same(c.response().status, 502)
    d.wait_access(2, outcome='refused')
