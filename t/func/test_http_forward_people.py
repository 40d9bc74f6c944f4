"""Who may have requests forwarded: logins, and client rules that change."""
import base64

from lib import conf
from lib.case import each, eventually, same, timeout
from lib.clients import PASSWORD, USER, guarded
from lib.daemon import Daemon
from lib.origin import Listener
from lib.web import Client, Stream, Web, ask, reply


# --- Logins -----------------------------------------------------------------

def basic(user=USER, password=PASSWORD):
    word = base64.b64encode(f'{user}:{password}'.encode()).decode()
    return f'Proxy-Authorization: Basic {word}'


def test_a_login_is_asked_for_and_taken(t):
    d = guarded(t)
    o = Web(t)
    with Client(d) as c:
        answer = c.get(o)
        same(answer.status, 407)
        same(answer.get('proxy-authenticate'),
             'Basic realm="spliced", charset="UTF-8"')
        # On the same connection: it was told that it may.
        same(c.get(o, fields=[basic()]).status, 200)
        same(c.get(o).status, 407)  # each one needs its own
        same(c.get(o, fields=[basic(password='x')]).status, 407)
        same(c.get(o, fields=[basic()]).status, 200)
    assert all(m.get('proxy-authorization') is None for m in o.requests)
    d.wait_access(2, user=USER, outcome='closed')
    d.wait_access(2, outcome='auth-required')
    d.wait_access(1, outcome='auth-failed')
    assert PASSWORD not in d.log()


@each('Basic', 'Basic !', 'Basic eA==', 'Basic eDp5eg', 'Bearer x',
      'Basic ' + 'QUFB' * 400)
def test_a_login_that_is_none_is_407(t, value):
    d = guarded(t)
    o = Web(t)
    with Client(d) as c:
        same(c.get(o, fields=[f'Proxy-Authorization: {value}']).status, 407)
    same(o.requests, [])


def test_a_tunnel_may_be_asked_for_after_407(t):
    d = guarded(t)
    o = Web(t)
    target = f'127.0.0.1:{o.port}'
    with Client(d) as c:
        c.send(f'CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n'
               .encode())
        same(c.response().status, 407)
        c.send(f'CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{basic()}'
               '\r\n\r\n'.encode())
        same(c.head().status, 200)
        c.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        same(c.response().body, b'fine')


@timeout(60)
def test_an_upload_does_not_lose_its_407(t):
    d = guarded(t)
    o = Web(t)
    with Client(d) as c:
        c.send(ask(o, method='POST', body=bytes(10 << 20)))
        answer = c.response()
        same((answer.status, answer.get('connection')), (407, 'close'))


def test_a_refusal_that_a_login_could_lift_is_407(t):
    d = guarded(t)
    changes = {'clients': [{'action': 'allow', 'from': 'any',
                            'auth': ['none', 'password']}],
               'rules': [conf.allow(users=[USER])]}
    d.reload(changes)
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 407)
        same(c.get(o, fields=[basic()]).status, 200)


def test_a_refusal_leaves_the_connection(t):
    d = Daemon(t, {'rules': [conf.allow(commands=['request'],
                                        ports=['1-65535'], to=['any'])]})
    o = Web(t)
    with Client(d) as c:
        for _ in range(3):
            same(c.get(o).status, 403)  # loopback is guarded
    d.wait_access(3, outcome='denied')


# --- Rules that change --------------------------------------------------------

def listed(t, d, more=(), **options):
    """Client rules by lists that may change: `put` changes one."""
    for name in ('out', 'strict'):
        t.file(name, '')
    d.reload({'clients': [
        {'action': 'deny', 'from': ['@' + t.path('out')]},
        {'action': 'allow', 'from': ['@' + t.path('strict')],
         'auth': ['password']},
        {'action': 'allow', 'from': 'any', 'auth': ['none']}], **options})


def put(t, d, name, text):
    t.file(name, text)
    done = d.control.run('refresh')
    same((done.returncode, done.err), (0, ''))


@each('rest', 'in a task')
def test_client_rules_hold_for_the_next_request(t, how):
    d = guarded(t)
    listed(t, d)
    o, slow = Web(t), Listener(t)
    with Client(d, source='127.0.0.5') as c, Client(d) as other:
        same((c.get(o).status, other.get(o).status), (200, 200))
        d.wait_access(2, outcome='closed')
        if how == 'rest':
            put(t, d, 'out', '127.0.0.5\n')
        else:  # one follows that is there already
            c.send(ask(slow) + ask(o))
            with slow.accept() as far:
                Stream(far).request()
                put(t, d, 'out', '127.0.0.5\n')
                far.sendall(reply(b'late'))
                same(c.response().body, b'late')
        if how == 'rest':
            c.send(ask(o))
        answer = c.response()
        same((answer.status, answer.get('connection')), (403, 'close'))
        assert c.ended()
        same(other.get(o).status, 200)
    same(d.wait_access(outcome='denied')['client'].split(':')[0], '127.0.0.5')
    same(len(o.requests), 3)


def test_a_head_that_is_denied_gets_no_body(t):
    d = guarded(t)
    listed(t, d)
    o = Web(t)
    with Client(d, source='127.0.0.5') as c:
        same(c.get(o).status, 200)
        put(t, d, 'out', '127.0.0.5\n')
        c.send(ask(o, method='HEAD'))
        same(c.response('HEAD').status, 403)
        assert c.ended()


def test_another_client_rule_is_taken_over(t):
    d = guarded(t)
    listed(t, d, limits={'per_client': 2})
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 200)
        put(t, d, 'strict', '127.0.0.1\n')
        same(c.get(o).status, 407)
        same(c.get(o, fields=[basic()]).status, 200)
        put(t, d, 'strict', '127.0.0.9\n')
        same(c.get(o).status, 200)
    # What was counted is given back, once.
    eventually(lambda: 'sessions of a client' not in
               d.control.run('limits').out)
