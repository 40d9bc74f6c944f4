"""Python's clients: PySocks, python-socks, requests, urllib3."""
import contextlib
import socket
import sys

from lib import client
from lib.case import Skip, each, patient, same
from lib.clients import (GET, HELLO, LOGIN, NAME, NAME6, PASSWORD, USER, Echo,
                         guarded, named, proxy, secure, spoken, url)
from lib.origin import Origin, unused_port, web
from lib.tls import Certificate

SCHEMES = ('socks4', 'socks4a', 'socks5', 'socks5h')


def module(name, package):
    try:
        return __import__(name, fromlist=['x'])
    except ImportError:
        raise Skip(f'no module {name} for {sys.executable}: '
                   f'apt-get install {package}') from None


def pysocks():
    return module('socks', 'python3-socks')


@each('SOCKS4', 'SOCKS4-name', 'SOCKS4-name6', 'SOCKS5', 'SOCKS5-name',
      'SOCKS5-ipv6', 'HTTP', 'HTTP-name')
def test_python3_socks(t, what):
    socks = pysocks()
    d = named(t)
    kind, _, how = what.partition('-')
    o = Origin(t, web(HELLO), host='::1' if '6' in how else '127.0.0.1')
    host = {'': '127.0.0.1', 'name': NAME, 'name6': NAME6, 'ipv6': '::1'}[how]
    with socks.socksocket() as s:
        s.set_proxy(getattr(socks, kind), *d.address, rdns=True)
        s.settimeout(patient(10))
        s.connect((host, o.port))
        s.sendall(GET)
        assert client.read_all(s).endswith(HELLO)
    line = d.wait_access(outcome='closed')
    same((line['protocol'], line['target']),
         (kind.lower(), client.authority(host, o.port)))


@each('SOCKS4', 'SOCKS5')
def test_python3_socks_is_told_of_a_refusal(t, kind):
    socks = pysocks()
    d = named(t)
    with socks.socksocket() as s:
        s.set_proxy(getattr(socks, kind), *d.address)
        s.settimeout(patient(10))
        try:
            s.connect(('127.0.0.1', unused_port()))
        except socks.ProxyError as e:
            assert ('0x05' if kind == 'SOCKS5' else '0x5b') in str(e), e
        else:
            raise AssertionError('it connected')


def test_python3_socks_logs_in(t):
    socks = pysocks()
    d = guarded(t)
    o = Origin(t, web(HELLO))
    with socks.socksocket() as s:
        s.set_proxy(socks.SOCKS5, *d.address, True, USER, PASSWORD)
        s.settimeout(patient(10))
        s.connect(o.target)
        s.sendall(GET)
        assert client.read_all(s).endswith(HELLO)
    same(d.wait_access(outcome='closed')['user'], USER)
    with socks.socksocket() as s:
        s.set_proxy(socks.SOCKS5, *d.address, True, USER, 'mad')
        s.settimeout(patient(10))
        try:
            s.connect(o.target)
        except socks.ProxyError as e:
            assert 'authentication failed' in str(e), e
            d.wait_access(outcome='auth-failed')
        else:
            raise AssertionError('it connected')


@each('127.0.0.1', NAME, '::1', NAME6)
def test_python3_socks_associates(t, host):
    """It asks with the name "0" and its port, and sends from that port."""
    socks = pysocks()
    d = named(t)
    o = Echo(t, '::1' if host in ('::1', NAME6) else '127.0.0.1')
    with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.set_proxy(socks.SOCKS5, *d.address)
        s.settimeout(patient(10))
        for size in (1, 512, 1400, 9000):
            data = client.noise(size, host)
            s.sendto(data, (host, o.port))
            same(s.recvfrom(1 << 16), (data, (o.host, o.port)))
    line = d.wait_access(command='udp')
    same((line['up'], line['down']), ('10913', '10913'))


def test_python3_socks_logs_in_and_associates(t):
    socks = pysocks()
    d = guarded(t)
    o = Echo(t, '127.0.0.1')
    with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.set_proxy(socks.SOCKS5, *d.address, True, USER, PASSWORD)
        s.settimeout(patient(10))
        s.sendto(b'hello', (NAME, o.port))
        same(s.recvfrom(99), (b'hello', (o.host, o.port)))
    same(d.wait_access(command='udp')['user'], USER)


# --- python-socks, which aiohttp-socks and others are made of ---------------

@each('socks4', 'socks5', 'http')
def test_python_socks(t, scheme):
    sync = module('python_socks.sync', 'python3-python-socks')
    d = named(t)
    o = Origin(t, web(HELLO))
    for host in ('127.0.0.1', NAME):
        through = sync.Proxy.from_url(proxy(d, scheme), rdns=True)
        with through.connect(host, o.port, timeout=patient(10)) as s:
            s.sendall(GET)
            assert client.read_all(s).endswith(HELLO)
        line = d.wait_access(target=f'{host}:{o.port}')
        same(line['protocol'], scheme)


def test_python_socks_logs_in(t):
    sync = module('python_socks.sync', 'python3-python-socks')
    d = guarded(t)
    o = Origin(t, web(HELLO))
    through = sync.Proxy.from_url(proxy(d, 'socks5', user=LOGIN))
    with through.connect(*o.target, timeout=patient(10)) as s:
        s.sendall(GET)
        assert client.read_all(s).endswith(HELLO)
    same(d.wait_access(outcome='closed')['user'], USER)


# --- requests, urllib3 ------------------------------------------------------

@each(*SCHEMES)
def test_requests(t, scheme):
    requests = module('requests', 'python3-requests')
    d = named(t)
    certificate = Certificate(t, NAME)
    plain = Origin(t, web(HELLO))
    tls = Origin(t, secure(web(HELLO), certificate))
    host = NAME if scheme in ('socks4a', 'socks5h') else '127.0.0.1'
    via = proxy(d, scheme)
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {'http': via, 'https': via}
        session.verify = certificate.path if host == NAME else False
        with ignored_warnings():
            for address in (url(plain, host), url(tls, host, 'https')):
                got = session.get(address, timeout=patient(10))
                same((got.status_code, got.content), (200, HELLO))
    for o in (plain, tls):
        line = d.wait_access(target=f'{host}:{o.port}')
        same(line['protocol'], spoken(scheme))


@contextlib.contextmanager
def ignored_warnings():
    """A certificate that is not looked at is worth a warning to urllib3."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def test_requests_logs_in(t):
    requests = module('requests', 'python3-requests')
    d = guarded(t)
    o = Origin(t, web(HELLO))
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {'http': proxy(d, 'socks5h', user=LOGIN)}
        same(session.get(url(o), timeout=patient(10)).content, HELLO)
        session.proxies = {'http': proxy(d, 'socks5h')}
        try:
            session.get(url(o), timeout=patient(10))
        except requests.exceptions.ConnectionError:
            d.wait_access(outcome='auth-required')
        else:
            raise AssertionError('it was let in')


@each(*SCHEMES)
def test_urllib3(t, scheme):
    contrib = module('urllib3.contrib.socks', 'python3-urllib3')
    d = named(t)
    o = Origin(t, web(HELLO))
    host = NAME if scheme in ('socks4a', 'socks5h') else '127.0.0.1'
    with contrib.SOCKSProxyManager(proxy(d, scheme)) as manager:
        got = manager.request('GET', url(o, host), retries=False,
                              timeout=patient(10))
        same((got.status, got.data), (200, HELLO))
    line = d.wait_access(outcome='closed')
    same((line['protocol'], line['target']),
         (spoken(scheme), f'{host}:{o.port}'))
