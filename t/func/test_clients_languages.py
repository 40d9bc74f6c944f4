"""Clients of languages, and a browser: Node, Java, Go, Perl, Chromium.

Their programs stand in t/helper/clients; each test runs one of them once,
since some take long to start.
"""
import json
import os
import shutil
import socket
import subprocess

from lib import client
from lib.case import Skip, each, patient, same, timeout, tool
from lib.clients import (CLEAN, Echo, HELLO, LOGIN, NAME, NAME6, PAGE,
                         PASSWORD, SOURCES, USER, guarded, named, node_modules,
                         pages, proxy, secure, url, verdicts)
from lib.origin import Origin, unused_port, web
from lib.tls import Certificate

WANTED = {**CLEAN, 'WANTED': HELLO.decode()}


class Origins:
    """The same page without and with TLS, and over IPv6."""

    def __init__(self, t):
        self.certificate = Certificate(t, NAME)
        self.plain = Origin(t, web(HELLO))
        self.tls = Origin(t, secure(web(HELLO), self.certificate))
        self.six = Origin(t, web(HELLO), host='::1')


# --- Node -------------------------------------------------------------------

def node(t, jobs, ca=None):
    """Runs jobs, each of (name, kind, what it needs)."""
    env = {**CLEAN, 'NODE_PATH': node_modules(t)}
    if ca:
        env['NODE_EXTRA_CA_CERTS'] = ca.path
    jobs = [{'name': name, 'kind': kind, 'wanted': HELLO.decode(), **more}
            for name, kind, more in jobs]
    done = t.run(tool('node', 'nodejs'), os.path.join(SOURCES, 'client.js'),
                 json.dumps(jobs), env=env, seconds=50)
    verdicts(done, *(job['name'] for job in jobs))


def to(o, host=None):
    return {'host': host or o.host, 'port': o.port}


@timeout(90)
def test_node_socks_proxy_agent(t):
    d = named(t)
    o = Origins(t)
    jobs = []
    for scheme in ('socks4', 'socks4a', 'socks5', 'socks5h'):
        jobs.append((scheme, 'agent', {'proxy': proxy(d, scheme),
                                       'url': url(o.plain)}))
    for scheme in ('socks4a', 'socks5h'):
        via = proxy(d, scheme)
        jobs += [(f'{scheme} name', 'agent',
                  {'proxy': via, 'url': url(o.plain, NAME)}),
                 (f'{scheme} name6', 'agent',
                  {'proxy': via, 'url': url(o.six, NAME6)}),
                 (f'{scheme} https', 'agent',
                  {'proxy': via, 'url': url(o.tls, NAME, 'https')})]
    node(t, jobs, o.certificate)
    d.wait_access(2, target=f'{NAME}:{o.tls.port}')


@timeout(90)
def test_node_socks_connects(t):
    d = named(t)
    o = Origins(t)
    four, five = proxy(d, 'socks4'), proxy(d, 'socks5')
    nobody = {'host': '127.0.0.1', 'port': unused_port()}
    node(t, [
        ('4', 'connect', {'proxies': [four], **to(o.plain)}),
        ('4a', 'connect', {'proxies': [four], **to(o.plain, NAME)}),
        ('5', 'connect', {'proxies': [five], **to(o.plain)}),
        ('5 name', 'connect', {'proxies': [five], **to(o.plain, NAME)}),
        ('5 ipv6', 'connect', {'proxies': [five], **to(o.six)}),
        ('4 refused', 'refused', {'proxies': [four], 'why': 'Failed',
                                  **nobody}),
        ('5 refused', 'refused', {'proxies': [five], **nobody,
                                  'why': 'ConnectionRefused'}),
    ])


@timeout(90)
def test_node_socks_chains(t):
    near, far = named(t), named(t)
    o = Origins(t)
    node(t, [(f'{a} {b}', 'connect', {
        'proxies': [proxy(near, a), proxy(far, b)], **to(o.plain, NAME)})
        for a in ('socks4', 'socks5') for b in ('socks4', 'socks5')])
    near.wait_access(4, target=client.authority(*far.address))
    far.wait_access(4, target=f'{NAME}:{o.plain.port}')


@timeout(90)
def test_node_socks_logs_in(t):
    d = guarded(t)
    o = Origins(t)
    via = proxy(d, 'socks5', user=LOGIN)
    node(t, [
        ('login', 'connect', {'proxies': [via], **to(o.plain)}),
        ('agent', 'agent', {'proxy': via, 'url': url(o.plain)}),
        ('wrong', 'refused', {'proxies': [proxy(d, 'socks5', user='eve:x')],
                              'why': 'failed', **to(o.plain)}),
        ('socks4', 'refused', {'proxies': [proxy(d, 'socks4')],
                               'why': 'rejected', **to(o.plain)}),
    ])
    same(d.wait_access(2, outcome='closed')['user'], USER)


@timeout(90)
def test_node_socks_binds(t):
    d = named(t)
    node(t, [(f'{scheme} for {host}', 'bind', {
        'proxy': proxy(d, scheme), 'host': host, 'port': port})
        for scheme in ('socks4', 'socks5')
        for host, port in (('0.0.0.0', 0), ('127.0.0.1', 21), (NAME, 21))])
    line = d.wait_access(6, command='bind', outcome='closed')
    same((line['up'], line['down']),
         (str(len('from the client')), str(len('from the peer'))))


@each('127.0.0.1', '::1')
@timeout(90)
def test_node_socks_associates(t, host):
    d = named(t)
    four, six = Echo(t, '127.0.0.1'), Echo(t, '::1')
    via = proxy(d, 'socks5', d.at(host))
    node(t, [
        ('ipv4', 'udp', {'proxy': via, **to(four)}),
        ('name', 'udp', {'proxy': via, **to(four, NAME)}),
        ('ipv6', 'udp', {'proxy': via, **to(six)}),
        ('name6', 'udp', {'proxy': via, **to(six, NAME6)}),
    ])
    line = d.wait_access(4, command='udp')
    same((line['up'], line['down']), ('1406', '1406'))


# --- Java, Go ---------------------------------------------------------------

def fetch(t, command, o, pairs):
    """Runs a program that is given pairs of a proxy and a URL."""
    words = [w for pair in pairs for w in pair]
    done = t.run(*command, o.certificate.path, *words, env=WANTED,
                 seconds=50)
    verdicts(done, *(' '.join(pair) for pair in pairs))


@timeout(90)
def test_java(t):
    d, locked = named(t), guarded(t)
    o = Origins(t)
    four, five = proxy(d, 'socks4'), proxy(d, 'socks5')
    fetch(t, [tool('java', 'openjdk-17-jre-headless'), '-Xshare:auto',
              '-XX:TieredStopAtLevel=1',
              os.path.join(SOURCES, 'Client.java')], o, [
        (five, url(o.plain)), (five, url(o.plain, NAME)),
        (five, url(o.tls, NAME, 'https')), (five, url(o.six)),
        (five, url(o.six, NAME6)), (five, url(o.plain, NAME, 'socket')),
        (four, url(o.plain)),
        (proxy(locked, 'socks5', user=LOGIN), url(o.plain)),
    ])
    d.wait_access(2, target=f'{NAME}:{o.plain.port}')
    same(locked.wait_access(outcome='closed')['user'], USER)


@timeout(90)
def test_go(t):
    d, locked = named(t), guarded(t)
    o = Origins(t)
    program = t.path('client')
    done = t.run(tool('gccgo', 'gccgo'), '-o', program,
                 os.path.join(SOURCES, 'client.go'), seconds=50)
    assert done.returncode == 0, done.stderr.decode()
    via = proxy(d, 'socks5')
    fetch(t, [program], o, [
        (via, url(o.plain)), (via, url(o.plain, NAME)),
        (via, url(o.tls, NAME, 'https')), (via, url(o.six)),
        (via, url(o.six, NAME6)),
        (proxy(locked, 'socks5', user=LOGIN), url(o.plain)),
    ])
    same(locked.wait_access(outcome='closed')['user'], USER)


# --- Perl -------------------------------------------------------------------

def perl(what, version, address, *words):
    """The command that does one thing by IO::Socket::Socks."""
    module = '/usr/share/perl5/IO/Socket/Socks.pm'
    if not os.path.exists(module):
        raise Skip('IO::Socket::Socks is missing: '
                   'apt-get install libio-socket-socks-perl')
    return [tool('perl', 'perl'), os.path.join(SOURCES, 'client.pl'), what,
            version, *hop(address), *words]


def hop(address):
    return [address[0], str(address[1])]


@each('4', '4-name', '5', '5-name', '4 5', '5 4', '5-login')
def test_perl_connects(t, how):
    versions, _, what = how.partition('-')
    first, *rest = versions.split()
    d = guarded(t) if what == 'login' else named(t)
    o = Origin(t, web(HELLO))
    target = [NAME if what == 'name' else '127.0.0.1', str(o.port)]
    login = [USER, PASSWORD] if what == 'login' else []
    words = target
    if rest:
        far = named(t)
        words = [*hop(far.address), *rest, *target]
    done = t.run(*perl('connect', first, d.address, *login, '--', *words),
                 env=CLEAN)
    assert done.stdout.endswith(HELLO), (done.stdout, done.stderr)
    line = d.wait_access(outcome='closed')
    same(line['protocol'], 'socks' + first)
    same(line['target'], client.authority(*far.address) if rest else
         ':'.join(target))


def test_perl_binds(t):
    d = named(t)
    process = t.start(*perl('bind', '5', d.address, '127.0.0.1', '21'),
                      env=CLEAN, stdout=subprocess.PIPE)
    host, port = process.stdout.readline().decode().split()
    with client.dial((host, int(port))) as s:
        s.sendall(b'from the peer\n')
        s.shutdown(socket.SHUT_WR)
        same(client.read_exact(s, 16), b'from the client\n')
        wanted = '%s %d\nfrom the peer\n' % s.getsockname()
        same(process.stdout.read().decode(), wanted)
    same(process.wait(patient(10)), 0)
    process.stdout.close()
    d.wait_access(command='bind', outcome='closed')


@each('0.0.0.0', NAME)
def test_perl_associates(t, said):
    """By the name of whom it will talk to, as its manual wants it."""
    d = named(t)
    o = Echo(t, '127.0.0.1')
    port = '0' if said == '0.0.0.0' else str(o.port)
    for host in ('127.0.0.1', NAME):
        done = t.run(*perl('udp', '5', d.address, host, str(o.port), said,
                           port), input=HELLO, stdin=None, env=CLEAN)
        same((done.stdout, done.stderr), (HELLO, b''))
    d.wait_access(2, command='udp')


# --- Chromium ---------------------------------------------------------------

@each('socks4', 'socks5')
@timeout(120)
def test_chromium(t, scheme):
    """A page that fetches twelve more, over TLS and over IPv6."""
    d = named(t)
    certificate = Certificate(t, NAME)
    tls = Origin(t, secure(pages({}), certificate))
    six = Origin(t, pages({}), host='::1')
    bodies = {}
    plain = Origin(t, pages(bodies))
    wanted = [url(plain, NAME) + str(i) for i in range(10)]
    wanted.append(url(tls, NAME, 'https'))
    if scheme == 'socks5':
        wanted.append(url(six, NAME6))
    bodies['/page'] = PAGE % json.dumps(wanted)
    # Only SOCKS4 asks Chromium to resolve; it has no 4a.
    known = f'MAP {NAME} 127.0.0.1' if scheme == 'socks4' else \
        'MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
    profile = t.folder('profile')
    t.defer(shutil.rmtree, profile, True)
    done = t.run(
        tool('chromium-headless-shell', 'chromium-headless-shell'),
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--disable-dev-shm-usage',
        '--ignore-certificate-errors', f'--user-data-dir={profile}',
        f'--proxy-server={proxy(d, scheme)}',
        f'--host-resolver-rules={known}',
        f'--timeout={patient(20) * 1000:.0f}', '--virtual-time-budget=20000',
        '--dump-dom', url(plain, NAME) + 'page',
        env={**CLEAN, 'HOME': t.dir}, seconds=60)
    text = done.stdout.decode()
    assert f'got {HELLO.decode() * len(wanted)}' in text, \
        (text, done.stderr.decode()[-2000:])
    host = '127.0.0.1' if scheme == 'socks4' else NAME
    line = d.wait_access(target=f'{host}:{tls.port}')
    same(line['protocol'], scheme)
