"""System calls that a forwarded request costs: counts, no times."""
from lib.case import alone, same, timeout
from lib.daemon import Daemon
from lib.origin import Origin
from lib.web import Client, Stream, Web, ask, reply
from test_syscalls import Count, log_to_file


@alone
@timeout(60)
def test_a_request_costs_at_most_4(t):
    conf = log_to_file(t)
    conf['log']['access'] = 'off'
    d = Daemon(t, {**conf, 'workers': 1})
    o = Web(t, lambda m: reply(bytes(1000)))
    asked = ask(o)
    with Client(d) as c:
        def go(count):
            for _ in range(count):
                c.send(asked)
                same(len(c.response().body), 1000)
        go(100)
        count = 1000
        with Count(t, d.worker) as calls:
            go(count)
    each = calls.each(count)
    print(f'{each:.2f} calls: {calls.table(count)}')
    assert each <= 4.05, f'{each:.2f}: {calls.table(count)}'
    same(o.accepted, 1)


@alone
@timeout(60)
def test_bulk_that_ends_with_its_connection_is_spliced_in_chunks(t):
    d = Daemon(t, {**log_to_file(t), 'workers': 1})
    body = bytes(32 << 20)

    def speak(s):
        Stream(s).request()
        s.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + body)
    o = Origin(t, speak)
    with Client(d) as c:
        with Count(t, d.worker) as calls:
            answer = c.get(o)
        same((answer.get('transfer-encoding'), len(answer.body)),
             ('chunked', len(body)))
    print(calls.table(32))
    assert calls.calls.get('splice', 0) > 2 * calls.calls['recvfrom'], \
        calls.table(32)


@alone
@timeout(60)
def test_bulk_is_spliced(t):
    d = Daemon(t, {**log_to_file(t), 'workers': 1})
    body = bytes(32 << 20)
    o = Web(t, lambda m: reply(body) if m.method == 'GET' else
            reply(b'%d' % len(m.body)))
    with Client(d) as c:
        with Count(t, d.worker) as calls:
            same(len(c.get(o).body), len(body))
            c.send(ask(o, method='PUT', body=body))
            same(c.response().body, b'%d' % len(body))
    print(calls.table(64))
    assert calls.calls.get('splice', 0) > calls.calls['recvfrom'], \
        calls.table(64)
