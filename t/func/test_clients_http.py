"""Real clients of an HTTP proxy: requests in absolute-form, and CONNECT."""
import base64
import hashlib
import json
import os
import sys

from lib import client
from lib.case import Skip, each, same, timeout, tool
from lib.clients import (CLEAN, HELLO, LOGIN, NAME, SOURCES, USER, Files,
                         Sshd, curl, guarded, named, node_modules,
                         proxy, url, verdicts)
from lib.web import Client, Stream, Web, ask, reply

BIG = client.noise(2 << 20)


def posted(m):
    return reply(hashlib.sha256(m.body).hexdigest().encode())


# A server of Python's keeps its connections, even at its own end.
SHORT = {'http': {'pool_idle': '200ms'}}


# --- curl -------------------------------------------------------------------

@each('-x', '--proxy1.0', '--http1.0 -x')
def test_curl_asks_in_absolute_form(t, how):
    d = named(t)
    o = Web(t, lambda m: reply(HELLO))
    same(curl(t, *how.split(), proxy(d, 'http'), url(o, NAME)),
         (0, HELLO, ''))
    line = d.wait_access(command='request')
    same((line['target'], line['outcome']), (f'{NAME}:{o.port}', 'closed'))


def test_curl_uses_a_connection_again(t):
    d = named(t, {'workers': 1})
    o = Web(t, lambda m: reply(HELLO))
    urls = [url(o, NAME) + str(i) for i in range(20)]
    same(curl(t, '-x', proxy(d, 'http'), *urls), (0, HELLO * 20, ''))
    same(o.accepted, 1)
    d.wait_access(20, command='request')


@each('-T', '-d', '-H Transfer-Encoding:chunked -T', '-0 -T')
def test_curl_uploads(t, how):
    """Those over 1 MiB wait for 100 Continue."""
    d = named(t)
    o = Web(t, posted)
    path = t.path('up')
    with open(path, 'wb') as f:
        f.write(BIG)
    *words, last = how.split()
    what = [last, path] if last == '-T' else ['--data-binary', '@' + path]
    code, out, err = curl(t, '-x', proxy(d, 'http'), *words, *what,
                          url(o, NAME))
    same((code, out.decode()), (0, hashlib.sha256(BIG).hexdigest()))


def test_curl_downloads(t):
    d = named(t, SHORT)
    t.file('big', '')
    with open(t.path('big'), 'wb') as f:
        f.write(BIG)
    o = Files(t, os.path.dirname(t.path('big')))
    code, out, _ = curl(t, '-x', proxy(d, 'http'), url(o, NAME) + 'big')
    assert code == 0 and out == BIG


def test_curl_logs_in(t):
    d = guarded(t)
    o = Web(t, lambda m: reply(HELLO))
    via = proxy(d, 'http', user=LOGIN)
    same(curl(t, '-x', via, url(o)), (0, HELLO, ''))
    same(curl(t, '--proxy-anyauth', '-x', via, url(o)), (0, HELLO, ''))
    same(curl(t, '--proxytunnel', '--proxy-anyauth', '-x', via, url(o)),
         (0, HELLO, ''))
    code, out, _ = curl(t, '-x', proxy(d, 'http', user='eve:x'), '-w',
                        '%{http_code}', '-o', '/dev/null', url(o))
    same((code, out), (0, b'407'))
    assert all(m.get('proxy-authorization') is None for m in o.requests)
    same(d.wait_access(3, outcome='closed')['user'], USER)


# --- wget, requests, apt, git -----------------------------------------------

def environment(via):
    return {**CLEAN, 'http_proxy': via, 'no_proxy': ''}


def test_wget(t):
    d = named(t)
    o = Web(t, lambda m: reply(HELLO))
    for user in ('', 'x:y'):
        done = t.run(tool('wget', 'wget'), '-q', '-O', '-', url(o, NAME),
                     url(o, NAME) + 'b',
                     env=environment(proxy(d, 'http', user=user)))
        same((done.returncode, done.stdout), (0, HELLO * 2))
    d.wait_access(4, command='request', outcome='closed')


def test_python3_requests(t):
    try:
        import requests
    except ImportError:
        raise Skip(f'no module requests for {sys.executable}: '
                   'apt-get install python3-requests') from None
    d, free = guarded(t), named(t)
    o = Web(t, posted)
    with requests.Session() as s:
        s.trust_env = False
        s.proxies = {'http': proxy(d, 'http', user=LOGIN)}
        for body in (b'', b'x', BIG):
            same(s.post(url(o), data=body, timeout=20).text,
                 hashlib.sha256(body).hexdigest())
        s.proxies = {'http': proxy(d, 'http')}
        same(s.get(url(o), timeout=20).status_code, 407)
        # In chunks it does not log in at all.
        s.proxies = {'http': proxy(free, 'http')}
        parts = iter([b'one', b'two', BIG])
        same(s.put(url(o), data=parts, timeout=20).text,
             hashlib.sha256(b'onetwo' + BIG).hexdigest())


def test_git_clones(t):
    d = named(t, SHORT)
    git = [tool('git', 'git'), '-c', 'user.name=x', '-c', 'user.email=x@y',
           '-c', 'init.defaultBranch=main']
    env = {**environment(proxy(d, 'http')), 'HOME': t.dir,
           'GIT_CONFIG_NOSYSTEM': '1'}
    for words in (['init', '-q', t.path('one')],
                  ['-C', t.path('one'), 'commit', '-q', '--allow-empty',
                   '-m', 'first'],
                  ['clone', '-q', '--bare', t.path('one'), t.path('r.git')],
                  ['-C', t.path('r.git'), 'update-server-info']):
        done = t.run(*git, *words, env=env)
        assert done.returncode == 0, done.stderr
    o = Files(t, t.dir)
    done = t.run(*git, 'clone', '-q', url(o, NAME) + 'r.git', t.path('two'),
                 env=env)
    assert done.returncode == 0, done.stderr
    done = t.run(*git, '-C', t.path('two'), 'log', '--format=%s', env=env)
    same(done.stdout, b'first\n')
    d.wait_access(command='request', target=f'{NAME}:{o.port}')


def test_apt_get_updates(t):
    """A repository without signature, by way of the proxy and no other."""
    d = named(t, SHORT)
    folder = t.path('repository')
    os.makedirs(os.path.join(folder, 'x'))
    with open(os.path.join(folder, 'x', 'Packages'), 'wb') as f:
        f.write(b'')
    o = Files(t, folder)
    source = t.file('a.list', f'deb [trusted=yes] {url(o, NAME)} x/\n')
    state = t.path('apt')
    for name in ('lists/partial', 'cache/archives/partial'):
        os.makedirs(os.path.join(state, name))
    done = t.run(
        tool('apt-get', 'apt'), 'update', '-q',
        '-o', f'Acquire::http::Proxy={proxy(d, "http")}',
        '-o', f'Dir::Etc::SourceList={source}',
        '-o', 'Dir::Etc::SourceParts=/dev/null',
        '-o', f'Dir::State::Lists={state}/lists',
        '-o', f'Dir::Cache={state}/cache', '-o', 'APT::Sandbox::User=root',
        '-o', 'Dir::State::Status=/dev/null', env=CLEAN, seconds=40)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b'x/ Packages' in done.stdout, done.stdout
    d.wait_access(command='request', target=f'{NAME}:{o.port}')


# --- Tunnels ----------------------------------------------------------------

@each('corkscrew', 'proxytunnel')
def test_ssh_through(t, name):
    program = tool(name, name)
    d = named(t)
    ssh = Sshd(t)
    at = client.authority(*d.address)
    via = f'{program} {d.address[0]} {d.address[1]} %h %p' \
        if name == 'corkscrew' else f'{program} -q -p {at} -d %h:%p'
    done = t.run(*ssh.command(via), '127.0.0.1', 'echo', 'hello', env=CLEAN)
    same((done.returncode, done.stdout), (0, b'hello\n'))
    d.wait_access(command='connect', target=f'127.0.0.1:{ssh.port}')


# --- Languages --------------------------------------------------------------

@timeout(90)
def test_node(t):
    d, locked = named(t), guarded(t)
    o = Web(t, lambda m: reply(HELLO))
    jobs = []
    for kind in ('axios', 'undici', 'proxy-agent'):
        for name, via in (('plain', proxy(d, 'http')),
                          ('login', proxy(locked, 'http', user=LOGIN))):
            host = NAME if name == 'plain' else None
            jobs.append({'name': f'{kind} {name}', 'kind': kind,
                         'proxy': via, 'url': url(o, host),
                         'wanted': HELLO.decode()})
    env = {**CLEAN, 'NODE_PATH': node_modules(t)}
    done = t.run(tool('node', 'nodejs'), os.path.join(SOURCES, 'http.js'),
                 json.dumps(jobs), env=env, seconds=60)
    verdicts(done, *(job['name'] for job in jobs))
    d.wait_access(command='request', outcome='closed')
    same(locked.wait_access(command='request', outcome='closed')['user'],
         USER)


@timeout(90)
def test_java(t):
    d = named(t)
    o = Web(t, lambda m: reply(HELLO))
    t.file('ca', '')
    done = t.run(tool('java', 'openjdk-17-jre-headless'), '-Xshare:auto',
                 '-XX:TieredStopAtLevel=1', os.path.join(SOURCES, 'Http.java'),
                 *d.address[:1], str(d.address[1]), url(o, NAME),
                 env={**CLEAN, 'WANTED': HELLO.decode()}, seconds=60)
    verdicts(done, 'old', 'new')
    d.wait_access(2, command='request', outcome='closed')


@timeout(90)
def test_go(t):
    d, locked = named(t), guarded(t)
    o = Web(t, lambda m: reply(HELLO))
    program = t.path('client')
    done = t.run(tool('gccgo', 'gccgo'), '-o', program,
                 os.path.join(SOURCES, 'client.go'), seconds=50)
    assert done.returncode == 0, done.stderr.decode()
    pairs = [(proxy(d, 'http'), url(o)), (proxy(d, 'http'), url(o, NAME)),
             (proxy(locked, 'http', user=LOGIN), url(o))]
    words = [w for pair in pairs for w in pair]
    from lib.tls import Certificate
    done = t.run(program, Certificate(t, NAME).path, *words,
                 env={**CLEAN, 'WANTED': HELLO.decode()}, seconds=50)
    verdicts(done, *(' '.join(pair) for pair in pairs))
    same(locked.wait_access(command='request', outcome='closed')['user'],
         USER)


# --- WebSocket --------------------------------------------------------------

GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'


def frame(text, mask=None):
    """A text frame, RFC 6455 section 5.2."""
    head = bytes([0x81, len(text) | (0x80 if mask else 0)])
    if mask:
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(text))
    return head + (mask or b'') + text


def test_a_websocket(t):
    def speak(s):
        stream = Stream(s)
        m = stream.request()
        key = m.get('sec-websocket-key').encode()
        word = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        s.sendall(reply(status='101 Switching Protocols', length=False,
                        fields=['Upgrade: websocket', 'Connection: Upgrade',
                                f'Sec-WebSocket-Accept: {word}']))
        while True:
            head = stream.exactly(2)
            mask = stream.exactly(4)
            data = stream.exactly(head[1] & 127)
            s.sendall(frame(bytes(b ^ mask[i % 4]
                                  for i, b in enumerate(data))))
    d = named(t)
    o = Web(t)

    def until_end(s):
        try:
            speak(s)
        except EOFError:
            pass
    o.serve = until_end
    with Client(d) as c:
        c.send(ask(o, '/chat', host=NAME, fields=[
            'Upgrade: websocket', 'Connection: Upgrade',
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
            'Sec-WebSocket-Version: 13']))
        m = c.head()
        same((m.status, m.get('sec-websocket-accept')),
             (101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='))
        for word in (b'', b'hello', b'x' * 125):
            c.send(frame(word, b'abcd'))
            same(c.exactly(2 + len(word))[2:], word)
    same(d.wait_access(command='request')['target'], f'{NAME}:{o.port}')
