"""The status page in a browser, and the program by which browsers find us."""
import http.server
import json
import re
import signal
import socket
import threading

from lib import admin, client, conf
from lib.browser import Browser
from lib.case import each, eventually, long, same, timeout, tool
from lib.client import noise, tunnel
from lib.clients import CLEAN, HELLO, NAME, pages, url
from lib.daemon import Daemon, check
from lib.origin import Origin, echo, unused_port
from lib.tls import Certificate
from lib.users import demand, readable, users

HOSTILE = '<script>alert(1)</script>'
ODD = ('<img src=x onerror="hit=1">',
       '\'"`&lt;</td></table></script><script>hit=1</script>',
       'javascript;hit=1//${hit=1}{{hit=1}}%00&#x3c;',
       '\u202eecila\u2066\u200f\u0634',   # turns the line around
       'w' * 30 + '\u00fc' * 20,
       '<b>' + 'w' * 252)                   # all that SOCKS5 can say

# What is read beside what it stands on, less than 4.5 to 1 (WCAG 2.2, 1.4.3).
PALE = '''(() => {
const parts = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = c => {
	const [r, g, b] = parts(c).map(x => x / 255).map(x =>
		x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
	return .2126 * r + .7152 * g + .0722 * b;
};
const ground = e => {
	for (; e; e = e.parentElement) {
		const c = parts(getComputedStyle(e).backgroundColor);
		if (c.length < 4 || c[3] === 1)
			return `rgb(${c.slice(0, 3)})`;
	}
};
const bad = [];
for (const e of document.querySelectorAll('body *')) {
	const own = [...e.childNodes].some(n => n.nodeType === 3 &&
		n.data.trim());
	if (!own || !e.checkVisibility() || e.closest('script, noscript'))
		continue;
	const style = getComputedStyle(e);
	const of = e.closest('svg') ? style.fill : style.color;
	const [x, y] = [light(of), light(ground(e))].sort((a, b) => b - a);
	if ((x + .05) / (y + .05) < 4.5)
		bad.push(e.textContent.trim());
}
return bad;
})()'''

# What Tab has come to, in a word.
FOCUS = '''(e => e.id || e.textContent.trim() ||
	e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))(
	document.activeElement)'''


def start(t, changes=None, more=None, **options):
    port = unused_port()
    d = Daemon(t, conf.merge(changes, {'admin': {
        'http': [f'127.0.0.1:{port}'], **(more or {})}}), **options)
    return d, port


def get(port, path, host=None):
    """Status, fields and body."""
    with socket.create_connection(('127.0.0.1', port)) as s:
        s.sendall(f'GET {path} HTTP/1.1\r\nHost: {host or "localhost"}\r\n'
                  'Connection: close\r\n\r\n'.encode())
        head, _, body = client.read_all(s).partition(b'\r\n\r\n')
    lines = head.decode().split('\r\n')
    return int(lines[0].split()[1]), dict(
        line.lower().split(': ', 1) for line in lines[1:]), body.decode()


def cell(b, section, row, column):
    return b.value(f'document.querySelector("#{section} tbody").'
                   f'rows[{row}].cells[{column}].textContent')


def tabs(b, count):
    """What the next so many stops of the Tab key are."""
    stops = []
    for _ in range(count):
        b.press('Tab')
        stops.append(b.value(FOCUS))
    return stops


@long
@timeout(60)
def test_the_page_in_chromium(t):
    """What it shows, in both schemes and widths, by keys; and a restart."""
    d, port = start(t, demand(readable(users(t, {HOSTILE: 'secret'}))))
    o = Origin(t, echo)
    b = Browser(t)
    with tunnel(d.address, o.target, login=(HOSTILE, 'secret')) as s:
        s.sendall(noise(30000))
        client.read_exact(s, 30000)
        b.open(f'http://127.0.0.1:{port}/')
        b.wait('document.querySelector("#state").dataset.word === "serving"')
        b.wait('document.querySelector("#sessions tbody").rows.length === 1')
        same([cell(b, 'sessions', 0, i) for i in (0, 2, 3, 4, 5)],
             [client.authority(*o.target), HOSTILE, 'lan', 'socks5',
              'tunnel'])
        b.wait('document.querySelector("#sessions tbody").rows[0].cells[9]'
               '.textContent === "59 KiB"')
        b.wait('document.querySelector("#traffic path.one").'
               'getAttribute("d").length > 1')
        same(b.value('document.scripts.length'), 1)
        same(b.value('document.title'),
             f'serving \u2013 spliced on 127.0.0.1:{port}')
        same(cell(b, 'listeners', 0, 0), 'lan')
        same(cell(b, 'generations', 0, 1), '\u25cf serving')
        look_and_feel(b)
    same(b.errors, [])
    restart(t, d, b)


def look_and_feel(b):
    for scheme in ('dark', 'light'):
        b.prefer(color_scheme=scheme)
        same((scheme, b.value(PALE)), (scheme, []))
    for width in (360, 1600):
        b.resize(width, 900)
        b.wait(f'document.documentElement.scrollWidth === {width} && '
               f'innerWidth === {width}')
    same(tabs(b, 8), [
        'To the numbers', 'pause',
        'Traffic of the last five minutes, by seconds before now',
        'Connections of the last five minutes, by seconds before now',
        b.value('document.querySelector("#sessions .scroll")'
                '.textContent.trim()'),
        'Target', 'Client', 'User'])
    b.press('Enter')
    same(b.value('[...document.querySelectorAll("[aria-sort]")].map(h => '
                 '[h.textContent, h.ariaSort].join())'), ['User,ascending'])
    b.press('Enter')
    same(b.value('document.querySelector("[aria-sort]").ariaSort'),
         'descending')


def restart(t, d, b):
    """It goes away and comes back; then a page by way of the proxy."""
    d.signal(signal.SIGTERM)
    d.wait_exit(0)
    b.wait('document.querySelector("#state").dataset.word === "no answer"')
    assert re.match(r'No answer since \d\d:\d\d:\d\d, ',
                    b.value('document.querySelector("#trouble").innerText'))
    Daemon(t, d.conf)
    b.wait('document.querySelector("#state").dataset.word === "serving" && '
           'document.querySelector("#trouble").hidden')
    assert 'answers again' in b.value(
        'document.querySelector("#said").textContent')
    b.close()  # else the daemon's end would wait for it


def logged_in(t, d, target, names):
    """Tunnels of users of these names, which stay."""
    for name in names:
        s = tunnel(d.address, target, login=(name, 'secret'))
        t.defer(s.close)


def column(b, section, number):
    return b.value(f'[...document.querySelector("#{section} tbody").rows].'
                   f'map(r => r.cells[{number}].textContent)')


def nothing_was_made(b):
    """No element but the page's own, and no script has run."""
    same(b.value('[...document.querySelectorAll("tbody *")].map(e => '
                 'e.localName).filter(n => !["tr", "th", "td", "span", "small",'
                 ' "i"].includes(n))'), [])
    same(b.value('document.querySelectorAll("img, iframe, object, '
                 '[onerror], [href^=javascript]").length'), 0)
    same(b.value('[document.scripts.length, typeof window.hit]'),
         [1, 'undefined'])
    same(b.errors, [])


def as_kept(name):
    """As a record has a name, 32 bytes of it, and all but ASCII escaped."""
    return ''.join(f'\\x{c:02x}' if c > 126 else
                   '\\' + chr(c) if chr(c) in '"\\' else chr(c)
                   for c in name.encode()[:32])


def lying(t, port):
    """A server in front of the daemon that puts what is hostile into each
    text of its JSON."""
    def worse(value):
        if isinstance(value, dict):
            return {k: worse(v) for k, v in value.items()}
        if isinstance(value, list):
            return list(map(worse, value))
        return value + ODD[0] if isinstance(value, str) else value

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, fields, body = admin.get(port, self.path)
            if fields['content-type'] == 'application/json':
                body = json.dumps(worse(json.loads(body)))
            self.send_response(status)
            for name in ('content-type', 'content-security-policy'):
                if name in fields:
                    self.send_header(name, fields[name])
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    t.defer(server.server_close)
    t.defer(server.shutdown)
    return server.server_address[1]


@long
@timeout(60)
def test_hostile_names_are_text(t):
    d, port = start(t, demand(readable(users(t, dict.fromkeys(ODD,
                                                              'secret')))))
    o = Origin(t, echo)
    logged_in(t, d, o.target, ODD)
    # What is no host name never becomes a session.
    s, code = client.ask(d.address, (ODD[0], 80), 'socks5',
                         login=(ODD[0], 'secret'))
    s.close()
    assert code != 0
    b = Browser(t)
    b.open(f'http://127.0.0.1:{port}/')
    rows = 'document.querySelector("#sessions tbody").rows'
    b.wait(f'{rows}.length === {len(ODD)}')
    same(sorted(column(b, 'sessions', 2)), sorted(map(as_kept, ODD)))
    nothing_was_made(b)
    b.resize(360, 900)
    b.wait('innerWidth === 360 && document.documentElement.scrollWidth === 360')
    # Nor does what the daemon itself would have been made to say.
    b.open(f'http://127.0.0.1:{lying(t, port)}/')
    b.wait(f'{rows}.length === {len(ODD)} && '
           f'{rows}[0].cells[0].textContent.endsWith({json.dumps(ODD[0])})')
    for number in (0, 1, 2, 3, 4, 5):
        for said in column(b, 'sessions', number):
            assert said.endswith(ODD[0]), (number, said)
    nothing_was_made(b)
    b.close()


def test_the_page_may_do_nothing_but_what_it_does(t):
    _, port = start(t)
    status, fields, body = get(port, '/')
    same((status, fields['content-type']), (200, 'text/html; charset=utf-8'))
    policy = fields['content-security-policy']
    for word in ("default-src 'none'", "connect-src 'self'",
                 "frame-ancestors 'none'", "script-src 'sha256-",
                 "style-src 'sha256-", "trusted-types 'none'"):
        assert word in policy, policy
    assert 'unsafe' not in policy, policy
    for word in ('innerHTML', 'http://', 'https://', 'eval('):
        assert word not in body.replace('http://www.w3.org/2000/svg', ''), \
            word


def test_sessions_come_by_their_traffic(t):
    d, port = start(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as a, tunnel(d.address, o.target) as b, \
            tunnel(d.address, o.target) as c:
        for s, n in ((a, 100), (b, 300), (c, 200)):
            s.sendall(noise(n))
            client.read_exact(s, n)

        def shown(query=''):
            said = json.loads(get(port, '/sessions.json' + query)[2])
            return [r['up'] for r in said['sessions']], said['total']
        eventually(lambda: shown() == ([300, 200, 100], 3))
        same(shown('?limit=2'), ([300, 200], 3))
        for odd in ('?limit=', '?limit=0', '?limit=x', '?limit=99999999999',
                    '?', '?other=1'):
            same((odd, shown(odd)[1], len(shown(odd)[0])), (odd, 3, 3))
        live = json.loads(get(port, '/status.json')[2])['live']
        same(live, {'bytes_up': 600, 'bytes_down': 600})


def test_limits_near_their_bounds_are_shown(t):
    d, port = start(t, {'limits': {'per_client': 10, 'connections': 100}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target), tunnel(d.address, o.target):
        limits = json.loads(get(port, '/status.json')[2])['limits']
    same(limits['fullest'], [{'limit': 'limits.per_client', 'count': 2,
                              'bound': 10, 'of': '',
                              'who': '127.0.0.1/32'}])


# --- /proxy.pac -------------------------------------------------------------

RUN = '''
const [program, ...hosts] = JSON.parse(process.argv[1]);
const box = require('vm').createContext({});
require('vm').runInContext(program, box);
console.log(JSON.stringify(hosts.map(h => box.FindProxyForURL(
\t`http://${h}/`, h))));
'''


def evaluate(t, text, *hosts):
    done = t.run(tool('node', 'nodejs'), '-e', RUN,
                 json.dumps([text, *hosts]), env=CLEAN)
    same(done.stderr.decode(), '')
    return json.loads(done.stdout)


def ways(t, port, host):
    status, fields, body = get(port, '/proxy.pac', host)
    same((status, fields['content-type']),
         (200, 'application/x-ns-proxy-autoconfig'))
    return evaluate(t, body, 'www.example.com')[0]


def test_a_browser_is_told_the_best_way_of_each_address(t):
    c = Certificate(t)
    listeners = [
        {'name': 'socks', 'address': ['127.0.0.1:0'],
         'protocols': ['socks5', 'socks4']},
        {'name': 'old', 'address': ['127.0.0.1:0'], 'protocols': ['socks4']},
        {'name': 'all', 'address': ['0.0.0.0:0', '[::1]:0']},
        {'name': 'hidden', 'address': ['127.0.0.1:0'],
         'proxy_protocol': ['127.0.0.1'], 'proxy_protocol_only': True},
        {'name': 'edge', 'address': ['127.0.0.1:0'], 'tls': 'edge'}]
    d, port = start(t, {
        'listeners': listeners,
        'tls': [{'name': 'edge', 'certificate': c.path, 'key': c.key}]})
    socks, old, everywhere, six, _, edge = [a[1] for a in d.addresses]
    same(ways(t, port, 'localhost:9180').split('; '), [
        f'HTTPS localhost:{edge}', f'PROXY localhost:{everywhere}',
        f'PROXY localhost:{six}', f'SOCKS5 localhost:{socks}',
        f'SOCKS localhost:{old}'])
    # From elsewhere only what does not listen on loopback is there.
    same(ways(t, port, 'Proxy.Example'), f'PROXY Proxy.Example:{everywhere}')
    same(ways(t, port, '192.0.2.1:80'), f'PROXY 192.0.2.1:{everywhere}')
    # What is no host is not believed.
    for odd in ('x"+alert(1)+"', "a'b", 'a b', '[::1', '[x]'):
        status, _, body = get(port, '/proxy.pac', odd)
        assert status == 400 or 'alert' not in body, body


def test_a_browser_may_be_told_another_host(t):
    d, port = start(t, {'listeners': [conf.listener(address=['0.0.0.0:0'])]},
                    {'pac_host': 'proxy.example'})
    same(ways(t, port, 'localhost'), f'PROXY proxy.example:{d.addresses[0][1]}')


def test_a_browser_is_told_nothing_where_it_could_go_nowhere(t):
    _, port = start(t)
    status, fields, body = get(port, '/proxy.pac', 'proxy.example')
    same((status, fields['content-type']), (404, 'text/plain; charset=utf-8'))
    assert 'pac_host' in body, body


def test_a_browser_fetches_without_us_what_it_may(t):
    _, port = start(t, None, {'pac_direct': [
        'plain', '.corp.example', 'www.example.net', '192.0.2.0/25',
        '2001:db8:8000::/33', 'private', 'loopback']})
    text = get(port, '/proxy.pac')[2]
    direct = ['intranet', 'corp.example', 'a.b.CORP.example', 'corp.example.',
              'www.example.net', '192.0.2.1', '192.0.2.127', '10.1.2.3',
              '100.127.0.1', '127.0.0.1', '::1', '[::1]', 'fd00::1',
              '2001:db8:8000::', '2001:db8:ffff:1::2', '::ffff:a01:203',
              'x.localhost']
    others = ['xcorp.example', 'a.www.example.net', '192.0.2.128',
              '100.128.0.1', '2001:db8:7fff::1', '2001:db8::', '9.255.0.1',
              '10.example.org', 'fe80::1', '11.1.2.3', 'example.com']
    got = evaluate(t, text, *direct, *others)
    same(dict(zip(direct, got)), {h: 'DIRECT' for h in direct})
    for host, way in zip(others, got[len(direct):]):
        assert way.startswith('PROXY '), (host, way)


def browse(t, d, port, *flags):
    """A page of a name that only the daemon knows, in a browser that was told
    where the program is and nothing else; and one that goes straight."""
    o = Origin(t, pages({}))
    b = Browser(t, '--headless=new',
                f'--proxy-pac-url=http://127.0.0.1:{port}/proxy.pac',
                '--host-resolver-rules=MAP straight.example 127.0.0.1, '
                'MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', *flags,
                program='chromium')
    hello = f'document.body.innerText === {json.dumps(HELLO.decode().strip())}'
    b.open(url(o, NAME))
    b.wait(hello)
    line = d.wait_access(target=f'{NAME}:{o.port}')
    b.open(url(o, 'straight.example'))
    b.wait(f'location.host === "straight.example:{o.port}" && {hello}')
    b.close()
    same(d.access(target=f'straight.example:{o.port}'), [])
    return line


@long
@timeout(60)
@each('http', 'https', 'socks5')  # by SOCKS4 it asks for names itself
def test_a_browser_finds_its_way_by_the_program(t, kind):
    c = Certificate(t)
    d, port = start(t, {
        'tls': [{'name': 'edge', 'certificate': c.path, 'key': c.key}],
        'names': {'hosts': t.file('hosts', f'127.0.0.1 {NAME}\n')},
        'listeners': [conf.listener(protocols=[kind.removesuffix('s')],
                                    **({'tls': 'edge'} if kind == 'https'
                                       else {}))]},
        {'pac_direct': ['straight.example']})
    line = browse(t, d, port, '--ignore-certificate-errors')
    same(line['protocol'], kind.removesuffix('s'))


@each(('any', 'around this proxy'), ('internet', 'around this proxy'),
      ('@hosts', 'takes no "@FILE"'))
def test_what_cannot_go_straight_is_refused(t, case):
    word, why = case
    done = check(t, conf.render(conf.merge({'admin': {
        'http': ['127.0.0.1:0'], 'pac_direct': [word]}})))
    same(done.returncode, 1)
    assert why in done.err, done.err
