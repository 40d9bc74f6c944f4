"""System calls that a forwarded request costs: counts, no times."""
from lib.case import alone, same, timeout
from lib.daemon import Daemon
from lib.web import Client, Web, ask, reply
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
