"""Parents by HTTP and TLS: forwarded requests, certificates, PROXY headers."""
import base64
import contextlib
import os
import signal
import threading

from lib import client, conf
from lib.case import each, eventually, same
from lib.clients import secure
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import Origin, echo, hang, unused_port
from lib.parents import Danted, Microsocks, Squid, Tinyproxy
from lib.tls import Certificate
from lib.web import Client, End, Stream, Web, ask, reply
from test_upstreams import by as by_any, reach, refused

# Soon after the last request nothing is to be left open.
BRIEF = {'http': {'pool_idle': '1s'}}

# A parent with the same name in Via would be a loop.
FAR = {'http': {'via': 'far', 'pool_idle': '1s'}}


def by(t, url, changes=None, **group):
    return by_any(t, url, {**BRIEF, **(changes or {})}, **group)


def request_line(o, path):
    return f'GET http://{client.authority(o.host, o.port)}{path} HTTP/1.1'


# --- Requests that are forwarded ---------------------------------------------

@each('tinyproxy', 'squid', 'microsocks', 'danted', 'spliced')
def test_requests_are_forwarded_by_a_parent(t, kind):
    if kind == 'spliced':
        far = Daemon(t, FAR)
        url = f'http://127.0.0.1:{far.address[1]}'
    else:
        url = {'tinyproxy': Tinyproxy, 'squid': Squid, 'microsocks':
               Microsocks, 'danted': Danted}[kind](t).url
    o = Web(t, lambda m: reply(m.path.encode() + m.body))
    # tinyproxy ends connections without a word; a POST is not sent twice.
    more = {'http': {'pool': 0}} if kind == 'tinyproxy' else {}
    d = by(t, url, more)
    body = client.noise(100000)
    with Client(d) as c:
        for path in ('/a', '/b', '/c'):
            same(c.get(o, path).body, path.encode())
        same(c.get(o, '/up', method='POST', body=body).body, b'/up' + body)
    line = d.wait_access(4, command='request', outcome='closed')
    same((line['upstream'], line['hop']), ('paris', '1'))


def test_a_parent_that_forwards_gets_the_absolute_form(t):
    parent = Web(t)
    d = by(t, f'http://me:secret@127.0.0.1:{parent.port}')
    target = Web(t)
    with Client(d) as c:
        same(c.get(target, '/a?b', fields=['Proxy-Authorization: mine'])
             .status, 200)
    same(target.accepted, 0)
    (m,) = parent.requests
    same(m.first, request_line(target, '/a?b'))
    same(m.get('host'), f'127.0.0.1:{target.port}')
    same(m.get('proxy-authorization'),
         'Basic ' + base64.b64encode(b'me:secret').decode())
    assert 'secret' not in d.log()


def test_a_connection_to_such_a_parent_is_for_all_targets(t):
    parent = Web(t)
    d = by(t, f'http://127.0.0.1:{parent.port}', {'workers': 1})
    targets = [Web(t), Web(t)]
    for target in targets:
        with Client(d) as c:
            same(c.get(target).status, 200)
        d.wait_access(targets.index(target) + 1, outcome='closed')
    same(parent.accepted, 1)
    same(len(parent.requests), 2)


def test_a_tunnel_is_used_again_for_its_target_only(t):
    parent = Microsocks(t)
    one, two = Web(t), Web(t)
    d = by(t, parent.url, {'workers': 1})
    for o in (one, two, one, two):
        with Client(d) as c:
            same(c.get(o).status, 200)
    same((one.accepted, two.accepted), (1, 1))
    same((len(one.requests), len(two.requests)), (2, 2))


def test_a_target_at_the_parents_address_is_not_taken_for_the_tunnel(t):
    """Idle connections by parents and direct ones are not mixed up."""
    parent, o = Microsocks(t), Web(t)
    d = Daemon(t, {
        **BRIEF, 'workers': 1, 'upstreams': [{'name': 'paris', 'url': parent.url}],
        'rules': [conf.allow(ports=str(o.port), upstream='paris'),
                  conf.allow()]})
    with Client(d) as c:
        same(c.get(o).status, 200)
        # The parent speaks no HTTP; what it is asked must not reach `o`.
        c.send(f'GET http://127.0.0.1:{parent.port}/ HTTP/1.1\r\n'
               f'Host: x\r\n\r\n'.encode())
        same(c.response().status, 502)
    same(len(o.requests), 1)


def test_a_parent_that_wants_another_login_is_our_fault(t):
    parent = Web(t, lambda m: reply(
        status='407 No', fields=['Proxy-Authenticate: Basic realm="x"']))
    d = by(t, f'http://me:wrong@127.0.0.1:{parent.port}')
    with Client(d) as c:
        same(c.get(Web(t)).status, 502)
    same(d.wait_access(outcome='parent-auth')['hop'], '1')
    d.wait_log('parent 1, .* has failed: parent-auth')


def test_forwarding_fails_over(t):
    o, parent = Web(t), Tinyproxy(t)
    d = by(t, [f'http://127.0.0.1:{unused_port()}', parent.url])
    with Client(d) as c:
        same(c.get(o).status, 200)
    same(d.wait_access(outcome='closed')['hop'], '2')


# --- Parents that take requests and do not answer ----------------------------

SILENT = {'http': {'response': '1s', 'pool_idle': '1s'}, 'workers': 1}


@each('a parent that hangs', 'tinyproxy, stopped', 'one that only ends')
def test_a_parent_that_does_not_answer_gives_way(t, kind):
    silent = Tinyproxy(t) if 'tiny' in kind else Origin(
        t, hang if 'hangs' in kind else lambda s: s.recv(1 << 16))
    if 'tiny' in kind:
        os.killpg(silent.process.pid, signal.SIGSTOP)
    well, o = Tinyproxy(t), Web(t)
    d = by(t, [f'http://127.0.0.1:{silent.port}', well.url], SILENT,
           retry='5m')
    with Client(d) as c:
        for _ in range(3):
            same(c.get(o).body, b'fine')
    d.wait_access(3, outcome='closed', hop='2')
    d.wait_log('parent 1, .* has failed: target-')
    same(len(o.requests), 3)


def test_what_may_do_harm_twice_is_not_sent_twice(t):
    silent, o = Origin(t, hang), Web(t)
    well = Web(t)
    d = by(t, [f'http://127.0.0.1:{p.port}' for p in (silent, well)], SILENT,
           retry='5m')
    with Client(d) as c:
        same(c.get(o, method='POST', body=b'x').status, 504)
        same(well.requests, [])
        d.wait_log('parent 1, .* has failed: target-timeout')
        same(c.get(o, method='POST', body=b'x').status, 200)
    same(d.wait_access(outcome='target-timeout')['hop'], '1')


def test_a_parent_without_another_is_504(t):
    silent = Origin(t, hang)
    d = by(t, f'http://127.0.0.1:{silent.port}', SILENT)
    with Client(d) as c:
        same(c.get(Web(t)).status, 504)
    d.wait_log('parent 1, .* has failed: target-timeout')


@each('', 'checked')
def test_only_an_answer_shows_that_it_is_well_again(t, checked):
    """Whoever takes connections was found to be well before."""
    answers = threading.Event()

    def serve(s):
        stream = Stream(s)
        with contextlib.suppress(End):  # a check says nothing
            stream.request()
        if answers.is_set():
            s.sendall(reply(b'back'))
        hang(s)
    silent, well, o = Origin(t, serve), Web(t), Web(t)
    d = by(t, [f'http://127.0.0.1:{p.port}' for p in (silent, well)], SILENT,
           retry='100ms', check='100ms' if checked else '0')

    def asked(times):
        with Client(d) as c:
            same(c.get(o).body, b'fine')
        return sum(line['hop'] == '2' for line in
                   d.access(outcome='closed')) >= times
    eventually(lambda: asked(2) and silent.accepted > 2)
    assert 'is well again' not in d.log()
    answers.set()

    def comes_back():
        with Client(d) as c:
            return c.get(o).body == b'back'
    eventually(comes_back)
    d.wait_log('parent 1, .* is well again')


# --- TLS ---------------------------------------------------------------------

def edge(t, certificate, **changes):
    """spliced with TLS in front."""
    return Daemon(t, {
        **FAR, 'tls': [{'name': 'edge', 'certificate': certificate.path,
                 'key': certificate.key}],
        'listeners': [conf.listener(tls='edge', **changes)]})


def https(d, host='localhost', login=''):
    return f'https://{login}{host}:{d.address[1]}'


def test_a_parent_by_tls_is_verified(t):
    authority = Certificate(t, 'Our CA', ca=True)
    parent = edge(t, Certificate(t, by=authority))
    o, web = Origin(t, echo), Web(t)
    d = by(t, https(parent), tls_ca=authority.path)
    same(reach(d, o.target)()['outcome'], 'closed')
    with Client(d) as c:
        for _ in range(3):
            same(c.get(web).body, b'fine')
    same(d.access(outcome='parent-tls'), [])


@each('in order', 'cut short')
def test_what_ends_with_a_parents_tls_goes_in_chunks(t, how):
    """Unless TLS has not ended: then the client must not take it for all."""
    authority = Certificate(t, 'Our CA', ca=True)
    body = client.noise(1 << 20)

    def serve(s):
        Stream(s).request()
        s.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + body)
        if how == 'in order':
            s.unwrap()
    parent = Origin(t, secure(serve, Certificate(t, by=authority)))
    d = by(t, f'https://localhost:{parent.port}', tls_ca=authority.path)
    with Client(d) as c:
        c.send(ask(Web(t)))
        if how == 'cut short':  # which may throw away what was not read
            same(client.read_to_end(c.s)[1], 'reset')
            return
        answer = c.response()
        same(answer.get('transfer-encoding'), 'chunked')
        assert answer.body == body


def failed_tls(t, d, words):
    same(refused(d, ('192.0.2.1', 80), 'http'), 502)
    same(d.wait_access(outcome='parent-tls')['hop'], '1')
    d.wait_log(f'parent 1, .* has failed: parent-tls, .*{words}')


def test_a_parent_that_another_authority_signed_is_refused(t):
    parent = edge(t, Certificate(t))
    other = Certificate(t, 'Another CA', ca=True)
    failed_tls(t, by(t, https(parent), tls_ca=other.path),
               'certificate verify failed')
    failed_tls(t, by(t, https(parent)), 'certificate verify failed')


def test_a_parent_of_another_name_is_refused(t):
    authority = Certificate(t, 'Our CA', ca=True)
    parent = edge(t, Certificate(t, 'elsewhere.example', by=authority))
    failed_tls(t, by(t, https(parent), tls_ca=authority.path), 'mismatch')
    d = by(t, https(parent), tls_ca=authority.path,
           tls_name='elsewhere.example')
    reach(d, Origin(t, echo).target)


def test_who_does_not_verify_takes_anybody(t):
    parent = edge(t, Certificate(t, 'elsewhere.example'))
    d = by(t, https(parent), tls_verify=False)
    reach(d, Origin(t, echo).target)


def test_a_parent_without_tls_fails_in_it(t):
    d = by(t, https(Daemon(t)))
    same(refused(d, ('192.0.2.1', 80), 'http'), 502)
    line = d.wait_access(upstream='paris')
    assert line['outcome'] in ('parent-tls', 'parent-failed'), line


def test_a_hop_in_a_chain_may_have_tls(t):
    authority = Certificate(t, 'Our CA', ca=True)
    last, o = edge(t, Certificate(t, by=authority)), Origin(t, echo)
    d = by(t, [Microsocks(t).url, https(last), Microsocks(t).url],
           chain=True, tls_ca=authority.path)
    reach(d, o.target)
    last.wait_access(outcome='closed')


def test_a_bulk_by_tls_comes_whole(t):
    authority = Certificate(t, 'Our CA', ca=True)
    parent = edge(t, Certificate(t, by=authority))
    d = by(t, https(parent), tls_ca=authority.path)
    sent = client.noise(2 << 20)
    with client.tunnel(d.address, Origin(t, echo).target) as s:
        thread = threading.Thread(target=s.sendall, args=(sent,))
        thread.start()
        same(client.read_exact(s, len(sent)) == sent, True)
        thread.join()


# --- Whom a parent is told ---------------------------------------------------

@each('v1', 'v2')
def test_a_parent_may_be_told_who_comes(t, version):
    parent = Daemon(t, {**FAR, 'listeners': [conf.listener(
        proxy_protocol=['127.0.0.1'], proxy_protocol_only=True)]})
    d = by(t, f'socks5://127.0.0.1:{parent.address[1]}', send_proxy=version)
    o, web = Origin(t, echo), Web(t)
    with client.tunnel(d.address, o.target, source='127.0.0.7') as s:
        assert client.echoes(s)
        name = client.authority(*s.getsockname()[:2])
    same(parent.wait_access(outcome='closed')['client'], name)
    # A connection that said who came is not for others.
    for _ in range(2):
        with Client(d) as c:
            same(c.get(web).status, 200)
    eventually(lambda: web.accepted == 2)


# --- Where a request goes straight after all ---------------------------------

def test_a_parents_login_stays_with_the_parent(t):
    """A request that is tried once more may find another way to be its own."""
    names = DnsServer(t, {('moves.example', 'A'): a('127.0.0.2', ttl=0)})

    def answer(m):
        if m.path.endswith('/first'):
            return reply(b'by the parent')
        names.records['moves.example', 'A'] = a('127.0.0.1', ttl=0)
        return None  # its connection was used before: this is tried again
    parent, o = Web(t, answer), Web(t)
    d = Daemon(t, {
        **BRIEF, 'workers': 1, 'names': {'servers': [names.address]},
        'upstreams': [{'name': 'paris',
                       'url': f'http://me:secret@127.0.0.1:{parent.port}'}],
        'rules': [conf.allow(to='127.0.0.2', upstream='paris'),
                  conf.allow()]})
    with Client(d) as c:
        same(c.get(o, '/first', host='moves.example').body, b'by the parent')
        same(c.get(o, '/second', host='moves.example').status, 200)
    (m,) = o.requests
    same((m.path, m.get('proxy-authorization')), ('/second', None))
    lines = d.wait_access(2, outcome='closed')
    assert 'upstream' not in lines, lines


def test_a_tunnel_by_name_is_not_for_an_address(t):
    """What a parent finds behind a name need not be what is found here."""
    far = Daemon(t, {**FAR, 'names': {'hosts': t.file(
        'far', '127.0.0.3 target.example\n')}})
    port = unused_port()
    there = Web(t, lambda m: reply(b'there'), host='127.0.0.3', port=port)
    here = Web(t, lambda m: reply(b'here'), port=port)
    dead = f'socks5://127.0.0.1:{unused_port()}'
    d = by(t, [f'socks5h://127.0.0.1:{far.address[1]}', dead], {'workers': 1})
    with Client(d) as c:
        same(c.get(there, host='target.example').body, b'there')
        same(c.get(here).body, b'here')


def test_a_parent_is_told_what_a_header_said(t):
    parent, seen = Origin(t, lambda s: seen.append(s.recv(100))), []
    d = by(t, f'http://127.0.0.1:{parent.port}', {'listeners': [conf.listener(
        proxy_protocol=['127.0.0.1'], proxy_protocol_only=True)]},
        send_proxy='v1')
    said = b'PROXY TCP4 192.0.2.7 192.0.2.8 5000 1080\r\n'
    with client.dial(d.address) as s:
        s.sendall(said + b'CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: x\r\n\r\n')
        s.recv(1)
    assert seen[0].startswith(said), seen
