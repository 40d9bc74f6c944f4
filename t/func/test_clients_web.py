"""Proxies by http:// and https://: what clients do with either, and a browser.

CHECKS says of each of the 70 lines that a lab's script once printed for another
proxy, and of its five in a browser, which test says it here.
"""
import base64
import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import threading

from lib import conf
from lib.case import Skip, each, patient, same, timeout, tool
from lib.clients import (CLEAN, HELLO, NAME, SOURCES, named, node_modules,
                         proxy, secure, url, verdicts)
from lib.origin import Origin
from lib.tls import Certificate
from lib.web import Stream, Web, reply

CHECKS = {
    # curl, wget
    'curl socks4|socks4a|socks5|socks5h http': 'clients.test_curl',
    'curl socks4|socks4a|socks5|socks5h https':
        'clients.test_curl_speaks_tls',
    'curl socks5h|socks4a name': 'clients.test_curl_by_name',
    'curl socks5 ipv6': 'clients.test_curl_to_ipv6',
    'curl http CONNECT': 'clients.test_curl',
    'curl http CONNECT https': 'clients.test_curl_speaks_tls',
    'curl https:// proxy': 'clients_web.test_curl_by_an_https_proxy',
    'curl socks4|socks5h 64 MiB download': 'clients.test_curl_downloads',
    'curl -Z 50 parallel over socks5': 'clients.test_curl_50_at_once',
    'curl 200 sequential': 'clients.test_curl_200_one_after_the_other',
    'curl refused port': 'clients.test_curl_is_told_of_a_refusal',
    'curl IPv6 literal CONNECT': 'clients.test_curl_to_ipv6',
    'wget via CONNECT': 'clients_web.test_wget_by_connect',
    # Python
    'PySocks SOCKS4|SOCKS4a name|SOCKS5|SOCKS5 rdns|SOCKS5 ipv6|HTTP CONNECT':
        'clients_python.test_python3_socks',
    'PySocks UDP ASSOCIATE': 'clients_python.test_python3_socks_associates',
    'requests[socks] + CONNECT': 'clients_python.test_requests '
                                 'clients_web.test_requests',
    'requests https:// proxy': 'clients_web.test_requests',
    'urllib3 SOCKSProxyManager': 'clients_python.test_urllib3',
    # Node
    'socks-proxy-agent socks5h http|socks5 https|socks4a http':
        'clients_languages.test_node_socks_proxy_agent',
    'https-proxy-agent CONNECT https|over TLS proxy': 'clients_web.test_node',
    'http-proxy-agent GET http': 'clients_web.test_node',
    'proxy-agent (env ALL_PROXY=socks)': 'clients_web.test_node',
    'undici ProxyAgent CONNECT|+ fetch-socks': 'clients_web.test_node',
    'axios + socks agent': 'clients_web.test_node',
    'socks: BIND': 'clients_languages.test_node_socks_binds',
    'socks: UDP ASSOCIATE': 'clients_languages.test_node_socks_associates',
    # Wrappers of connections
    'proxychains4 socks5|socks4|http': 'clients_tools.test_proxychains4',
    'proxychains4 two hops': 'clients_tools.test_proxychains4_over_two_hops',
    'socksify (dante-client) curl': 'clients_tools.test_socksify',
    'nc -X 4|5|connect': 'clients_tools.test_nc',
    'ncat --proxy-type socks5': 'clients_tools.test_ncat',
    'socat SOCKS4A|PROXY': 'clients_tools.test_socat',
    'connect-proxy -S': 'clients_tools.test_connect_proxy',
    'proxytunnel|corkscrew': 'clients_http.test_ssh_through',
    # Programs that carry their own protocol through
    'ssh ProxyCommand nc -X 5|nc -X connect': 'clients_tunnels.test_ssh',
    'ssh 64 MiB over socks5': 'clients_tunnels.test_ssh_carries_much',
    'git clone http.proxy=socks5h': 'clients_tunnels.test_git_over_http',
    'git clone ssh over socks': 'clients_tunnels.test_git_over_ssh',
    'apt-get update via socks5h': 'clients_tunnels.test_apt_get',
    # Java, Go
    'java URLConnection SOCKS5|Socket SOCKS5 remote DNS':
        'clients_languages.test_java',
    'java HttpClient CONNECT': 'clients_web.test_java',
    'go net/http socks5 http|socks5 https': 'clients_languages.test_go',
    'go net/http http http|http https': 'clients_web.test_go',
}
BROWSER = {
    'chromium socks5 http|socks5 https h2|socks4 http':
        'clients_languages.test_chromium',
    'chromium http CONNECT https|https:// proxy, CONNECT':
        'clients_web.test_chromium',
}


def test_no_check_is_without_its_test(_):
    same(sum(len(what.split('|')) for what in CHECKS), 70)
    same(sum(len(what.split('|')) for what in BROWSER), 5)
    known = set()
    for path in glob.glob(os.path.join(os.path.dirname(__file__),
                                       'test_*.py')):
        part = os.path.basename(path)[len('test_'):-len('.py')]
        with open(path, encoding='utf-8') as f:
            known |= {f'{part}.{name}' for name in
                      re.findall(r'^def (test_\w+)', f.read(), re.M)}
    for said in (CHECKS, BROWSER):
        for tests in said.values():
            assert set(tests.split()) <= known, tests


# --- Both kinds of proxies --------------------------------------------------

# Connections to origins that keep them, too, are to be gone at a test's end.
SHORT = {'http': {'pool_idle': '200ms'}}


class Proxies:
    """`plain` by http://, `tls` by https://, and origins of both kinds."""

    def __init__(self, t):
        self.certificate = Certificate(t)
        at_target = Certificate(t, NAME)
        self.plain = named(t, SHORT)
        self.tls = named(t, {
            **SHORT, 'tls': [{'name': 'edge', 'certificate': self.certificate.path,
                     'key': self.certificate.key}],
            'listeners': [conf.listener(tls='edge', http2=False)]})
        self.http = Web(t, lambda m: reply(HELLO))
        self.https = Origin(t, secure(site({'/': HELLO.decode()}),
                                      at_target))
        both = ''
        for one in (self.certificate, at_target):
            with open(one.path, encoding='ascii') as f:
                both += f.read()
        self.ca = t.file('both.pem', both)
        self.by_http = proxy(self.plain, 'http')
        self.by_https = f'https://localhost:{self.tls.address[1]}'
        self.page = url(self.http, NAME)
        self.secret = url(self.https, NAME, 'https')

    def seen(self, d, *commands):
        """What each page was asked for by."""
        for o, command in zip((self.http, self.https), commands):
            if command:
                line = d.wait_access(target=f'{NAME}:{o.port}',
                                     command=command)
                same(line['protocol'], 'http')


def test_curl_by_an_https_proxy(t):
    p = Proxies(t)
    for page in (p.page, p.secret):
        done = t.run(tool('curl', 'curl'), '-q', '-sS', '-x', p.by_https,
                     '--proxy-cacert', p.certificate.path, '--cacert', p.ca,
                     page, env=CLEAN)
        same((done.returncode, done.stdout), (0, HELLO))
    p.seen(p.tls, 'request', 'connect')


def test_wget_by_connect(t):
    p = Proxies(t)
    done = t.run(tool('wget', 'wget'), '-q', '-O', '-',
                 f'--ca-certificate={p.ca}', p.secret,
                 env={**CLEAN, 'https_proxy': p.by_http})
    same((done.returncode, done.stdout), (0, HELLO))
    p.seen(p.plain, None, 'connect')


@each('http', 'https')
def test_requests(t, kind):
    try:
        import requests
    except ImportError:
        raise Skip('apt-get install python3-requests') from None
    p = Proxies(t)
    via = p.by_http if kind == 'http' else p.by_https
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {'http': via, 'https': via}
        session.verify = p.ca  # of proxies, too
        for page in (p.page, p.secret):
            got = session.get(page, timeout=patient(10))
            same((got.status_code, got.content), (200, HELLO))
    p.seen(p.plain if kind == 'http' else p.tls, 'request', 'connect')


@timeout(90)
def test_node(t):
    p = Proxies(t)
    socks = proxy(p.plain, 'socks5h')
    jobs = [{'name': ' '.join((kind, via.split(':')[0], page.split(':')[0])),
             'kind': kind, 'proxy': via, 'url': page,
             'wanted': HELLO.decode()}
            for kind, via, page in (
                ('http-proxy-agent', p.by_http, p.page),
                ('http-proxy-agent', p.by_https, p.page),
                ('https-proxy-agent', p.by_http, p.secret),
                ('https-proxy-agent', p.by_https, p.secret),
                ('undici', p.by_http, p.secret),
                ('undici', p.by_https, p.page),
                ('proxy-agent', p.by_http, p.page),
                ('proxy-agent', p.by_https, p.secret),
                ('proxy-agent', socks, p.page),
                ('fetch-socks', proxy(p.plain, 'socks5'), p.page),
                ('axios', socks, p.page))]
    env = {**CLEAN, 'NODE_PATH': node_modules(t),
           'NODE_EXTRA_CA_CERTS': p.ca}
    # What is import()ed is not looked for in NODE_PATH.
    program = t.path('web.js')
    shutil.copy(os.path.join(SOURCES, 'web.js'), program)
    os.symlink(env['NODE_PATH'], t.path('node_modules'))
    done = t.run(tool('node', 'nodejs'), program, json.dumps(jobs), env=env,
                 seconds=60)
    verdicts(done, *(job['name'] for job in jobs))
    p.seen(p.plain, 'request', 'connect')
    p.seen(p.tls, 'request', 'connect')


def fetched(t, p, command, pairs):
    done = t.run(*command, p.ca, *(w for pair in pairs for w in pair),
                 env={**CLEAN, 'WANTED': HELLO.decode()}, seconds=50)
    verdicts(done, *(' '.join(pair) for pair in pairs))


@timeout(90)
def test_java(t):
    p = Proxies(t)
    # It takes the first of the certificates only.
    with open(p.ca, encoding='ascii') as f:
        text = f.read()
    p.ca = t.file('second.pem', text[text.rindex('-----BEGIN'):])
    fetched(t, p, [tool('java', 'openjdk-17-jre-headless'), '-Xshare:auto',
                   '-XX:TieredStopAtLevel=1',
                   os.path.join(SOURCES, 'Client.java')],
            [(p.by_http, p.page), (p.by_http, p.secret)])
    p.seen(p.plain, 'request', 'connect')


@timeout(90)
def test_go(t):
    p = Proxies(t)
    program = t.path('client')
    done = t.run(tool('gccgo', 'gccgo'), '-o', program,
                 os.path.join(SOURCES, 'client.go'), seconds=50)
    assert done.returncode == 0, done.stderr.decode()
    fetched(t, p, [program], [(via, page) for via in (p.by_http, p.by_https)
                              for page in (p.page, p.secret)])
    p.seen(p.plain, 'request', 'connect')
    p.seen(p.tls, 'request', 'connect')


# --- Chromium ---------------------------------------------------------------

# The image ends, and the page is done, when what it has got has been told.
PAGE = '''<html><body><img src="wait"><p id="said"></p><script>
function spoken(u) {
	return new Promise((done, failed) => {
		const s = new WebSocket(u);
		s.onopen = () => s.send('hello');
		s.onmessage = m => { done(m.data); s.close(); };
		s.onerror = () => failed('no WebSocket ' + u);
	});
}
Promise.all(%s.map(u => u.startsWith('ws') ? spoken(u) :
\tfetch(u).then(r => r.text()))).then(
\ttexts => 'got ' + texts.join(' '), failed => 'failed ' + failed
).then(said => {
	document.getElementById('said').textContent = said;
	return fetch('done');
});
</script></body></html>'''
GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'


def speak_websocket(stream, m):
    """RFC 6455: sends back what comes until the client closes."""
    key = hashlib.sha1((m.get('sec-websocket-key') + GUID).encode())
    word = base64.b64encode(key.digest()).decode()
    stream.s.sendall(reply(status='101 Switching Protocols', length=False,
                           fields=['Upgrade: websocket',
                                   'Connection: Upgrade',
                                   f'Sec-WebSocket-Accept: {word}']))
    while True:
        head = stream.exactly(2)
        mask = stream.exactly(4)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(
            stream.exactly(head[1] & 127)))
        stream.s.sendall(bytes([head[0], len(data)]) + data)
        if head[0] & 15 == 8:
            return


def site(bodies):
    """A web server whose page "wait" comes when "done" was asked for."""
    done = threading.Event()

    def serve(s):
        stream = Stream(s)
        with contextlib.suppress(EOFError, OSError):
            while True:
                m = stream.request()
                if m.get('upgrade'):
                    speak_websocket(stream, m)
                    return
                if m.path == '/done':
                    done.set()
                elif m.path == '/wait':
                    done.wait(patient(30))
                body = bodies.get(m.path, 'page ' + m.path)
                s.sendall(reply(body.encode(), fields=[
                    'Content-Type: text/html',
                    'Access-Control-Allow-Origin: *']))
    return serve


@each('http', 'https')
@timeout(120)
def test_chromium(t, kind):
    """A page that fetches more, over TLS too, and speaks by WebSockets."""
    p = Proxies(t)
    bodies = {}
    plain = Origin(t, site(bodies))
    tls = Origin(t, secure(site(bodies), Certificate(t, NAME)))
    wanted = [url(plain, NAME) + 'a', url(tls, NAME, 'https') + 'b',
              url(plain, NAME, 'ws'), url(tls, NAME, 'wss')]
    bodies['/page'] = PAGE % json.dumps(wanted)
    profile = t.folder('profile')
    t.defer(shutil.rmtree, profile, True)
    done = t.run(
        tool('chromium-headless-shell', 'chromium-headless-shell'),
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--disable-dev-shm-usage',
        '--ignore-certificate-errors', f'--user-data-dir={profile}',
        f'--proxy-server={p.by_http if kind == "http" else p.by_https}',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, '
        'EXCLUDE localhost',
        f'--timeout={patient(40) * 1000:.0f}', '--dump-dom',
        url(plain, NAME) + 'page', env={**CLEAN, 'HOME': t.dir}, seconds=60)
    text = done.stdout.decode()
    assert '>got page /a page /b hello hello</p>' in text, \
        (text, done.stderr.decode()[-2000:])
    d = p.plain if kind == 'http' else p.tls
    for o, command in ((plain, 'request'), (plain, 'connect'),
                       (tls, 'connect')):
        line = d.wait_access(target=f'{NAME}:{o.port}', command=command)
        same(line['protocol'], 'http')
