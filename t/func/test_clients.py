"""Real clients: curl, ssh through nc, python3-socks, proxychains4."""
import hashlib
import os
import pwd
import shlex
import socket
import sys

from lib import client
from lib.case import SLOWNESS, Skip, each, eventually, same, timeout, tool
from lib.daemon import Daemon
from lib.origin import BLOCK, Origin, unused_port, web

HELLO = b'hello from the origin\n'
MIB = 16 if SLOWNESS == 1 else 4
CLEAN = {k: v for k, v in os.environ.items()
         if not k.lower().endswith('_proxy')}


def url(o, host=None):
    return f'http://{client.authority(host or o.host, o.port)}/'


def proxy(d, scheme, address=None):
    return f'{scheme}://{client.authority(*(address or d.address))}'


def curl(t, *args, seconds=20):
    done = t.run(tool('curl', 'curl'), '-q', '-sS', '--max-time', '20', *args,
                 env=CLEAN, seconds=seconds)
    return done.returncode, done.stdout, done.stderr.decode()


def named(t):
    """A daemon that knows target.example by its hosts file."""
    hosts = t.file('hosts', '127.0.0.1 target.example\n::1 six.example\n')
    return Daemon(t, {'names': {'hosts': hosts}})


@each('socks5', 'socks5h', 'http')
def test_curl(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    args = ['-p', '-x', proxy(d, scheme)]
    same(curl(t, *args, url(o)), (0, HELLO, ''))
    line = d.wait_access(outcome='closed')
    same(line['protocol'], 'http' if scheme == 'http' else 'socks5')


@each('socks5h', 'http')
def test_curl_by_name(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    args = ['-p', '-x', proxy(d, scheme)]
    same(curl(t, *args, url(o, 'target.example')), (0, HELLO, ''))
    line = d.wait_access(outcome='closed')
    assert line['target'] == f'target.example:{o.port}', line


@each('socks5', 'socks5h', 'http')
def test_curl_to_ipv6(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO), host='::1')
    args = ['-p', '-g', '-x', proxy(d, scheme)]
    same(curl(t, *args, url(o)), (0, HELLO, ''))


@each('socks5', 'socks5h', 'http')
def test_curl_over_ipv6(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    args = ['-p', '-g', '-x', proxy(d, scheme, d.at('::1'))]
    same(curl(t, *args, url(o)), (0, HELLO, ''))


@each('socks5h', 'http')
@timeout(60)
def test_curl_downloads(t, scheme):
    d = Daemon(t)
    body = BLOCK * MIB
    o = Origin(t, web(body))
    code, out, err = curl(t, '-p', '-x', proxy(d, scheme), url(o), seconds=50)
    assert code == 0, err
    same(hashlib.sha256(out).digest(), hashlib.sha256(body).digest())


@each('socks5h', 'http')
def test_curl_uploads(t, scheme):
    body = BLOCK * 4
    got = []

    def serve(s):
        data = b''
        while b'\r\n\r\n' not in data:
            data += s.recv(65536)
        head, data = data.split(b'\r\n\r\n', 1)
        if b'100-continue' in head.lower():
            s.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        while len(data) < len(body):
            data += s.recv(1 << 20)
        got.append(data)
        s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

    d = Daemon(t)
    o = Origin(t, serve)
    path = t.file('body', body)
    code, out, err = curl(t, '-p', '-x', proxy(d, scheme), '-T', path, url(o))
    assert (code, out) == (0, b'ok'), err
    same(got, [body])


def test_curl_50_at_once(t):
    d = Daemon(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-Z', '--parallel-max', '50', '-x',
                          proxy(d, 'socks5h'), url(o) + '?[1-50]')
    assert code == 0, err
    same(out, HELLO * 50)


def test_curl_200_one_after_the_other(t):
    d = Daemon(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-x', proxy(d, 'socks5h'), url(o) + '?[1-200]')
    assert code == 0, err
    same(out, HELLO * 200)


def test_curl_is_told_of_a_refusal(t):
    d = Daemon(t)
    target = f'http://127.0.0.1:{unused_port()}/'
    code, _, err = curl(t, '-x', proxy(d, 'socks5h'), target)
    assert code == 97, err
    code, _, err = curl(t, '-p', '-x', proxy(d, 'http'), target)
    assert code == 56 and '502' in err, err


def test_curl_without_connect_is_told_what_is_served(t):
    d = Daemon(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-w', '%{http_code}', '-o', '/dev/null', '-x',
                          proxy(d, 'http'), url(o))
    assert (code, out) == (0, b'405'), err


# --- python3-socks ----------------------------------------------------------

def pysocks():
    try:
        import socks
    except ImportError:
        raise Skip(f'no module socks for {sys.executable}: '
                   'apt-get install python3-socks') from None
    return socks


@each('SOCKS5', 'SOCKS5-name', 'SOCKS5-ipv6', 'HTTP', 'HTTP-name')
def test_python3_socks(t, what):
    socks = pysocks()
    d = named(t)
    kind, _, how = what.partition('-')
    o = Origin(t, web(HELLO), host='::1' if how == 'ipv6' else '127.0.0.1')
    host = {'': '127.0.0.1', 'name': 'target.example', 'ipv6': '::1'}[how]
    with socks.socksocket() as s:
        s.set_proxy(getattr(socks, kind), *d.address, rdns=True)
        s.settimeout(10)
        s.connect((host, o.port))
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        assert client.read_all(s).endswith(HELLO)


def test_python3_socks_is_told_of_a_refusal(t):
    socks = pysocks()
    d = Daemon(t)
    with socks.socksocket() as s:
        s.set_proxy(socks.SOCKS5, *d.address)
        s.settimeout(10)
        try:
            s.connect(('127.0.0.1', unused_port()))
        except socks.ProxyError as e:
            assert '0x05' in str(e), e
        else:
            raise AssertionError('it connected')


# --- proxychains4 -----------------------------------------------------------

def proxychains(t, d, scheme, *command):
    host, port = d.address
    path = t.file('chain.conf', 'strict_chain\nproxy_dns\n[ProxyList]\n'
                  f'{scheme} {host} {port}\n')
    done = t.run(tool('proxychains4', 'proxychains4'), '-q', '-f', path,
                 *command, env=CLEAN)
    return done.returncode, done.stdout, done.stderr


@each('socks5', 'http')
def test_proxychains4(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    tool('curl', 'curl')
    for host in ('127.0.0.1', 'target.example'):
        got = proxychains(t, d, scheme, 'curl', '-q', '-sS', url(o, host))
        assert got[:2] == (0, HELLO), got
        line = d.wait_access(target=f'{host}:{o.port}')
        assert line['outcome'] in ('closed', 'client-reset'), line


# --- ssh --------------------------------------------------------------------

def sshd(t):
    """A server on a port of its own that takes a key of the test."""
    server = tool('sshd', 'openssh-server')
    keygen = tool('ssh-keygen', 'openssh-client')
    try:
        os.makedirs('/run/sshd', 0o755, exist_ok=True)
    except OSError as e:
        raise Skip(f'sshd needs /run/sshd: {e}') from None
    for name in ('host', 'user'):
        t.run(keygen, '-q', '-t', 'ed25519', '-N', '', '-f', t.path(name))
    with open(t.path('user.pub'), encoding='ascii') as f:
        t.file('keys', f.read(), 0o600)
    port = unused_port()
    t.start(server, '-D', '-e', '-f', '/dev/null', '-p', str(port),
            '-h', t.path('host'), '-o', 'ListenAddress=127.0.0.1',
            '-o', 'AuthorizedKeysFile=' + t.path('keys'),
            '-o', 'StrictModes=no', '-o', 'PermitRootLogin=yes',
            '-o', 'UsePAM=no', '-o', 'PidFile=none')

    def listens():
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0
    eventually(listens, said='sshd')
    return port


@each('5', 'connect')
@timeout(60)
def test_ssh_through_nc(t, version):
    nc = tool('nc', 'netcat-openbsd')
    ssh = tool('ssh', 'openssh-client')
    me = pwd.getpwuid(os.geteuid())
    if me.pw_shell.endswith(('nologin', 'false')):
        raise Skip(f'{me.pw_name} cannot log in')
    port = sshd(t)
    d = Daemon(t)
    via = f'{nc} -X {version} -x {client.authority(*d.address)} %h %p'
    base = [ssh, '-F', 'none', '-i', t.path('user'), '-p', str(port),
            '-o', 'StrictHostKeyChecking=no', '-o', 'LogLevel=ERROR',
            '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes',
            '-o', 'ProxyCommand=' + via, f'{me.pw_name}@127.0.0.1']
    done = t.run(*base, 'echo hello; cat >&2', input=b'and back', stdin=None)
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, b'hello\n', b'and back'), done.stderr
    body = BLOCK * MIB
    path = t.file('big', body)
    done = t.run(*base, 'cat ' + shlex.quote(path), seconds=40)
    assert done.returncode == 0, done.stderr
    same(hashlib.sha256(done.stdout).digest(), hashlib.sha256(body).digest())
    d.wait_access(2, outcome='closed')


@each('5', 'connect')
def test_nc(t, version):
    nc = tool('nc', 'netcat-openbsd')
    d = Daemon(t)
    o = Origin(t, web(HELLO))
    done = t.run(nc, '-X', version, '-x', client.authority(*d.address),
                 '-N', '127.0.0.1', str(o.port), stdin=None,
                 input=b'GET / HTTP/1.0\r\n\r\n')
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(HELLO), done.stdout
