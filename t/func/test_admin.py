"""The admin listener: metrics, status, health, and who may look."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import threading
import time

from lib import client, conf, proc
from lib.admin import get, get_json, metrics, value, went_back
from lib.case import each, eventually, patient, same, slow, timeout, tool
from lib.client import dial, echoes, noise, read_all, tunnel
from lib.conf import allow
from lib.daemon import Daemon, check
from lib.origin import Origin, echo, unused_port
from lib.parents import Microsocks
from lib.serving import served
from lib.tls import Certificate
from lib.users import readable, users

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GRAFANA = os.path.join(TOP, 'systemd', 'grafana')
SERIES = re.compile(r'\bspliced_\w+')


def start(t, changes=None, admin=None, **options):
    """A daemon and the port of its admin listener."""
    port = unused_port()
    d = Daemon(t, conf.merge(changes, {'admin': {
        'http': [f'127.0.0.1:{port}'], **(admin or {})}}), **options)
    return d, port


def promtool(t, *words, text=None):
    done = t.run(tool('promtool', 'prometheus'), *words,
                 **({'stdin': None, 'input': text.encode()} if text else {}))
    return done.returncode, (done.stdout + done.stderr).decode()


# --- What there is to see ---------------------------------------------------

def test_sessions_are_counted_by_listener_protocol_and_outcome(t):
    d, port = start(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, noise(3000))
        rows = get_json(port, '/sessions.json')['sessions']
        same([(r['state'], r['target']) for r in rows],
             [('tunnel', client.authority(*o.target))])
    with tunnel(d.address, o.target, 'http') as s:
        assert echoes(s)
    client.http_status(d.address, client.http_request(
        client.authority('127.0.0.1', unused_port())))
    d.wait_access(3)
    m = eventually(lambda: (lambda x: x if value(
        x, 'spliced_sessions_total') == 3 else None)(metrics(port)))
    for protocol in ('socks5', 'http'):
        same(value(m, 'spliced_sessions_total', listener='lan',
                   protocol=protocol, outcome='closed'), 1)
    same(value(m, 'spliced_sessions_total', outcome='refused'), 1)
    same(value(m, 'spliced_bytes_total', direction='up'), 3004)
    for name, count in (('handshake', 3), ('connect', 2), ('session', 2)):
        same((name, value(m, f'spliced_{name}_seconds_count')), (name, count))
        same(value(m, f'spliced_{name}_seconds_bucket', le='+Inf'), count)
    status = get_json(port, '/status.json')
    same(status['listeners'], [{'name': 'lan', 'draining': False,
                                'sessions': 3, 'bytes_up': 3004,
                                'bytes_down': 3004}])
    d.control.run('drain', 'lan')
    eventually(lambda: get_json(port, '/status.json')['listeners'][0][
        'draining'])
    same((status['state'], status['generation']), ('serving', 1))


def test_promtool_finds_nothing_wrong_with_the_metrics(t):
    d, port = start(t, admin={'user_metrics': 10})
    served(d, Origin(t, echo), 2)
    status, fields, body = get(port, '/metrics')
    same((status, fields['Content-Type']),
         (200, 'text/plain; version=0.0.4; charset=utf-8'))
    same(promtool(t, 'check', 'metrics', text=body), (0, ''))
    _, fields, other = get(port, '/metrics',
                           Accept='application/openmetrics-text')
    assert fields['Content-Type'].startswith('application/openmetrics-text')
    assert other.endswith('# EOF\n') and '# TYPE spliced_sessions counter' \
        in other, other[-200:]


@each('master', 'single')
def test_ready_until_it_drains(t, how):
    d, port = start(t, {'timeouts': {'shutdown': '20s'}},
                    single=how == 'single')
    same(get(port, '/readyz')[::2], (200, 'ok\n'))
    same(get(port, '/healthz')[::2], (200, 'ok\n'))
    with tunnel(d.address, Origin(t, echo).target) as s:
        assert echoes(s)
        d.signal(signal.SIGTERM)
        eventually(lambda: get(port, '/readyz')[0] == 503)
        same(get(port, '/healthz')[0], 200)
        assert echoes(s)
        assert get_json(port, '/sessions.json')['sessions']
    d.wait_exit()


def test_a_unix_socket_and_no_control_socket_will_do(t):
    path = t.path('http')
    d, port = start(t, admin={'socket': '', 'http': ['unix:' + path]})
    same(get(path, '/readyz')[0], 200)
    served(d, Origin(t, echo), 1)
    d.signal(signal.SIGHUP)
    eventually(lambda: get_json(path, '/status.json')['generation'] == 2)
    same(value(metrics(path), 'spliced_reloads_total', result='ok'), 1)
    # Until the old one has ended, it would be taken for the one that serves.
    eventually(lambda: len(get_json(path, '/status.json')['generations']) == 1)
    d.rebase()


def test_the_last_reloads_are_remembered(t):
    d, port = start(t)
    d.reload()
    d.reload(text='listeners: (', fails='never closed')
    past = get_json(port, '/status.json')['reloads']
    same([(r['ok'], r['generation']) for r in past], [(True, 2), (False, 2)])
    assert 'never closed' in past[1]['error'], past
    d.rebase()
    m = metrics(port)
    same((value(m, 'spliced_reloads_total', result='failed'),
          value(m, 'spliced_last_reload_successful')), (1, 0))


# --- Counters never go back -------------------------------------------------

class Load:
    """Clients that come and go until it is stopped."""

    def __init__(self, d, o):
        self.d, self.o, self.ending = d, o, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending:
            try:
                with tunnel(self.d.address, self.o.target) as s:
                    echoes(s)
            except (OSError, EOFError):
                pass  # its generation was killed

    def stop(self):
        self.ending = True
        self.thread.join()


@timeout(60)
def test_counters_go_on_over_reloads_crashes_and_upgrades(t):
    d, port = start(t, admin={'user_metrics': 5})
    o = Origin(t, echo)
    served(d, o, 20)
    load, before = Load(d, o), metrics(port)

    def scrape(least):
        nonlocal before
        def look():
            nonlocal before
            try:
                after = metrics(port)
            except OSError:
                return False
            same(went_back(before, after), {})
            before = after
            return value(after, 'spliced_generation') >= least
        eventually(look, 20)

    for generation in range(2, 5):
        d.signal(signal.SIGHUP)
        scrape(generation)
    for generation in range(5, 7):
        proc.kill(d.find_worker(), signo=signal.SIGKILL)
        d.found = None
        scrape(generation)
    d.signal(signal.SIGUSR2)
    scrape(7)
    load.stop()
    same(value(before, 'spliced_crashes_total'), 2)
    d.found = None
    d.wait_alone()
    m = metrics(port)
    same(value(m, 'spliced_sessions_total'),
         get_json(port, '/status.json')['totals']['sessions'])
    same(len(get_json(port, '/status.json')['reloads']), 4)
    d.rebase()


def test_sessions_that_are_lost_are_counted_too(t):
    d, port = start(t)
    with tunnel(d.address, Origin(t, echo).target) as s:
        assert echoes(s)
        proc.kill(d.worker, signo=signal.SIGKILL)
        read_all(s)
    d.found = None
    eventually(lambda: value(metrics(port), 'spliced_sessions_total',
                             outcome='lost') == 1)
    d.rebase()


# --- Users and parents ------------------------------------------------------

def login(d, o, name, password):
    s, reply = client.socks5_ask(d.address, o.target, login=(name, password))
    with s:
        assert echoes(s)


def test_users_have_series_as_many_as_are_allowed(t):
    names = ['a"b\\c', 'bob', 'carol']
    d, port = start(t, {
        'auth': {'users_file': users(t, {n: 'pw' for n in names})},
        'clients': [{'action': 'allow', 'from': 'any', 'auth': 'password'}],
        'user': None}, admin={'user_metrics': 2})
    o = Origin(t, echo)
    for name in names:
        for _ in range(2):
            login(d, o, name, 'pw')
    d.wait_access(6)
    m = eventually(lambda: (lambda x: x if value(
        x, 'spliced_user_sessions_total') == 6 else None)(metrics(port)))
    same(value(m, 'spliced_user_sessions_total', user='other'), 2)
    same(value(m, 'spliced_user_sessions_total', user=r'a\"b\\c'), 2)
    same(value(m, 'spliced_user_bytes_total', user='bob'), 16)
    same(promtool(t, 'check', 'metrics', text=get(port, '/metrics')[2]),
         (0, ''))


def test_parents_are_counted_and_their_health_is_shown(t):
    parent, dead = Microsocks(t), f'socks5://127.0.0.1:{unused_port()}'
    d, port = start(t, {
        'upstreams': [{'name': 'paris', 'url': [dead, parent.url]}],
        'rules': [allow(upstream='paris')]})
    served(d, Origin(t, echo), 2)
    d.wait_access(2)

    def look():
        parents = get_json(port, '/status.json')['upstreams'][0]['parents']
        well = [p for p in parents if p['up']]
        return parents if [p['sessions'] for p in well] == [2] else None

    down = [p for p in eventually(look) if not p['up']]
    same((len(down), down[0]['sessions']), (1, 0))
    assert down[0]['failures'] >= 1, down
    m = metrics(port)
    same(value(m, 'spliced_upstream_up', upstream='paris'), 1)
    same(value(m, 'spliced_upstream_sessions_total', upstream='paris'), 2)


# --- Who may look -----------------------------------------------------------

def test_a_login_is_asked_for(t):
    path = users(t, {'alice': 'secret'})
    os.chmod(path, 0o644)
    d, port = start(t, {'auth': {'failure_delay': '100ms'}},
                    admin={'users': path})
    status, fields, _ = get(port, '/metrics')
    same((status, fields['WWW-Authenticate']),
         (401, 'Basic realm="spliced", charset="UTF-8"'))
    same(get(port, '/metrics', login=('alice', 'wrong'))[0], 401)
    same(get(port, '/metrics', login=('alice', 'secret'))[0], 200)
    same(get(port, '/nothing')[0], 401)
    same([get(port, p)[0] for p in ('/healthz', '/readyz')], [200, 200])
    users(t, {'bob': 'other'})
    os.chmod(path, 0o644)
    eventually(lambda: get(port, '/metrics', login=('bob', 'other'))[0] == 200)
    same(get(port, '/metrics', login=('alice', 'secret'))[0], 401)


def test_it_speaks_tls(t):
    c = Certificate(t)
    d, port = start(t, {'tls': [{'name': 'own', 'certificate': c.path,
                         'key': c.key}],
                        'user': None}, admin={'tls': 'own'})
    context = ssl.create_default_context(cafile=c.path)
    with socket.create_connection(('127.0.0.1', port), patient(10)) as plain, \
            context.wrap_socket(plain, server_hostname='localhost') as s:
        s.sendall(b'GET /readyz HTTP/1.0\r\n\r\n')
        assert s.recv(100).startswith(b'HTTP/1.1 200 OK\r\n')


# --- Requests that are none of ours -----------------------------------------

def say(port, text):
    with dial(('127.0.0.1', port)) as s:
        s.sendall(text)
        return read_all(s).split(b'\r\n', 1)[0].split(b' ')[1]


def test_what_it_does_not_serve_is_refused(t):
    d, port = start(t)
    head = b' HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
    big = b'X: ' + b'x' * 17000 + b'\r\n\r\n'
    for text, code in ((b'GET /nothing' + head + b'\r\n', b'404'),
                       (b'POST /metrics' + head + b'\r\n', b'405'),
                       (b'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', b'405'),
                       (b'GET /' + head + big, b'431'),
                       (b'GET / HTTP/2.0\r\n\r\n', b'505'),
                       (b'GET /metrics' + head +
                        b'Content-Length: 1\r\n\r\nx', b'400'),
                       (b'nonsense\r\n\r\n', b'400')):
        same((text[:20], say(port, text)), (text[:20], code))
    status, fields, body = get(port, '/metrics', method='HEAD')
    assert status == 200 and int(fields['Content-Length']) > 1000 and \
        body == '', (status, body)
    same(fields['Cache-Control'], 'no-store')
    with dial(('127.0.0.1', port)) as s:  # one after the other
        s.sendall(2 * b'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n' +
                  b'GET /readyz' + head + b'\r\n')
        same(read_all(s).count(b'HTTP/1.1 200 OK'), 3)


def ask_as(at, path, host):
    """The status of a request that calls this machine so."""
    return get(at, path, Host=host)[0]


def test_a_name_that_was_made_to_lead_here_is_no_name_of_ours(t):
    path = t.path('http')
    d, port = start(t, admin={'pac_host': 'proxy.example'})
    for name in ('evil.example', f'evil.example:{port}', 'localhost.evil',
                 '127.0.0.1.evil', 'x' * 255):
        for at in ('/', '/metrics', '/status.json', '/sessions.json', '/x'):
            same((name, at, ask_as(port, at, name)), (name, at, 421))
        for at in ('/healthz', '/readyz', '/proxy.pac'):
            assert ask_as(port, at, name) != 421, (name, at)
    for name in ('localhost', f'LocalHost:{port}', '127.0.0.1', '[::1]:80',
                 socket.gethostname(), 'Proxy.Example:3128'):
        same((name, ask_as(port, '/metrics', name)), (name, 200))
    with dial(('127.0.0.1', port)) as s:  # a program without any name
        s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        assert read_all(s).startswith(b'HTTP/1.1 200')
    d, port = start(t, admin={'http': ['unix:' + path]})
    same(ask_as(path, '/metrics', 'by.another.proxy'), 200)


def test_whoever_logs_in_may_use_any_name(t):
    path = readable(users(t, {'alice': 'secret'}))
    d, port = start(t, admin={'users': path})
    same(ask_as(port, '/metrics', 'evil.example'), 401)
    same(get(port, '/metrics', login=('alice', 'secret'),
             Host='monitor.example')[0], 200)


def test_many_questions_do_not_fill_the_way_to_the_master(t):
    d, port = start(t)
    for _ in range(20):  # which makes an answer long
        d.reload(text=f'{"x" * 200}: 1;', fails='unknown')
    text = 200 * b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    clients = [dial(('127.0.0.1', port)) for _ in range(30)]
    for s in clients:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
    for s in clients:
        with s:
            same(read_all(s).count(b' 200 OK\r\n'), 200)
    assert 'does not listen' not in d.log(), d.log()[-300:]
    d.rebase()


def test_silent_strangers_make_room_for_who_asks(t):
    d, port = start(t)
    at = ('127.0.0.1', port)
    rests = http.client.HTTPConnection(*at, timeout=10)
    t.defer(rests.close)
    rests.request('GET', '/readyz')
    same(rests.getresponse().read(), b'ok\n')
    strangers = []
    # More than there are places, and than wait for one; some say a word.
    for i in range(100):
        s = dial(at)
        t.defer(s.close)
        strangers.append(s)
        if i % 2:
            s.sendall(b'GET /readyz HTTP/1.1\r\n')
        if i % 10 == 0:
            same(get(port, '/readyz')[0], 200)
    served(d, Origin(t, echo), 2)  # clients do not notice
    # Whoever was silent for longest has gone, without a word.
    assert not receives(rests.sock)
    assert not receives(strangers[1])
    # The last one has a place still.
    last = strangers[-1]
    last.sendall(b'Host: localhost\r\nConnection: close\r\n\r\n')
    assert read_all(last).startswith(b'HTTP/1.1 200'), 'the last one'


def receives(s):
    """What comes next; nothing: it has ended, in order or by a reset."""
    try:
        return s.recv(100)
    except ConnectionResetError:
        return b''


@slow
@each('', 'GET /readyz HTTP/1.1\r\n')
def test_slow_clients_are_let_go(t, said):
    d, port = start(t)
    begin = time.monotonic()
    with dial(('127.0.0.1', port), 30) as s:
        s.sendall(said.encode())
        got = read_all(s)
    assert time.monotonic() - begin > 4.9
    assert got.startswith(b'HTTP/1.1 408') if said else not got, got


# --- Configuration ----------------------------------------------------------

LISTENER = 'listeners: ( { name = "a"; address = "127.0.0.1:1080"; } );\n'


@each(('http = "0.0.0.0:9180";', "name a file of 'users'"),
      ('http = "127.0.0.1:1080";', "collides on 127.0.0.1:1080 with 'http'"),
      ('socket = "/run/x"; http = "unix:/run/x";', 'the same path'),
      ('http = "unix:/run/x"; tls = "none";', "there is no entry 'none'"),
      ('http = "127.0.0.1:1"; users = "/nonexistent";', 'cannot be read'))
def test_a_configuration_that_makes_no_sense_is_refused(t, case):
    text, why = case
    done = check(t, LISTENER + 'admin: { ' + text + ' };')
    same(done.returncode, 1)
    assert why in done.err + done.out, done.err + done.out


# --- Dashboard and alerts ---------------------------------------------------

def expressions(node):
    """All `expr` of a dashboard."""
    if isinstance(node, dict):
        if 'expr' in node:
            yield node['expr']
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from expressions(child)


def test_dashboard_and_alerts_name_series_that_exist(t):
    d, port = start(t, {'upstreams': [{'name': 'paris', 'url':
                                       'socks5://127.0.0.1:9'}]},
                    admin={'user_metrics': 1})
    served(d, Origin(t, echo), 1)
    d.wait_access()
    eventually(lambda: value(metrics(port), 'spliced_sessions_total') == 1)
    names = {name for name, _ in metrics(port)}
    with open(os.path.join(GRAFANA, 'spliced.json'), encoding='utf-8') as f:
        dashboard = json.load(f)
    with open(os.path.join(GRAFANA, 'alerts.yml'), encoding='utf-8') as f:
        alerts = re.findall(r'^\s+expr: (.*)$', f.read(), re.M)
    wanted = [*expressions(dashboard), *alerts]
    assert len(wanted) > 20, wanted
    for e in wanted:
        same((e, set(SERIES.findall(e)) - names), (e, set()))
    # Each expression of the dashboard as a rule, so that promtool reads it.
    rules = {'groups': [{'name': 'all', 'rules': [
        {'record': f'r:{i}', 'expr': e.replace('$__rate_interval', '5m')}
        for i, e in enumerate(wanted)]}]}
    path = t.file('rules.yml', json.dumps(rules))
    code, said = promtool(t, 'check', 'rules', path)
    same((code, said), (0, said))
    code, said = promtool(t, 'check', 'rules',
                          os.path.join(GRAFANA, 'alerts.yml'))
    same((code, said), (0, said))


@slow
@timeout(90)
def test_prometheus_scrapes_over_a_reload(t):
    d, port = start(t)
    web = unused_port()
    o = Origin(t, echo)
    path = t.file('prometheus.yml', json.dumps({
        'global': {'scrape_interval': '250ms'},
        'rule_files': [os.path.join(GRAFANA, 'alerts.yml')],
        'scrape_configs': [{'job_name': 'spliced', 'static_configs': [
            {'targets': [f'127.0.0.1:{port}']}]}]}))
    t.start(tool('prometheus', 'prometheus'), f'--config.file={path}',
            f'--storage.tsdb.path={t.path("tsdb")}',
            f'--web.listen-address=127.0.0.1:{web}')

    def ask(query):
        try:
            _, _, body = get(web, '/api/v1/query?query=' + query)
            found = json.loads(body)['data']['result']
        except (OSError, ValueError, KeyError):
            return None
        return float(found[0]['value'][1]) if found else None

    total = 'sum(spliced_sessions_total)'
    eventually(lambda: ask('spliced_up') == 1, 40)
    for count in range(5):
        served(d, o, 10)
        d.signal(signal.SIGHUP)
        eventually(lambda: ask('spliced_generation') == count + 2, 20)
    eventually(lambda: ask(total) == 50, 20)
    same(ask('sum(resets(spliced_sessions_total[1m]))'), 0)
    same(ask('min_over_time(up[1m])'), 1)
    d.rebase()
