"""What tests with real client programs share.

The daemon knows two names that nobody else does: a client that reaches them
has left the resolving to the proxy.
"""
import contextlib
import fcntl
import functools
import hashlib
import http.server
import os
import shutil
import socket
import ssl
import threading
import urllib.parse

from .case import EXTERNAL, Skip, eventually, patient, tool
from .client import authority
from .conf import listener
from .daemon import Daemon
from .origin import unused_port
from .tls import openssl

HELLO = b'hello from the origin\n'
NAME, NAME6 = 'target.example', 'six.example'
USER, PASSWORD = 'alice', 'down the rabbit-hole'
LOGIN = f'{USER}:{urllib.parse.quote(PASSWORD)}'  # as in a URL
GET = b'GET / HTTP/1.0\r\n\r\n'

# The environment without what would make clients take another proxy.
CLEAN = {k: v for k, v in os.environ.items()
         if not k.lower().endswith('_proxy')}
SOURCES = os.path.normpath(os.path.join(os.path.dirname(__file__),
                                        '../../helper/clients'))


def named(t, changes=None):
    """A daemon that speaks all it can on one port and knows the names."""
    if EXTERNAL and not changes:  # it has to know them by itself
        return Daemon(t)
    hosts = t.file('hosts', f'127.0.0.1 {NAME}\n::1 {NAME6}\n')
    speaks = listener(address=['127.0.0.1:0', '[::1]:0'],
                      protocols=['socks5', 'socks4', 'http'])
    return Daemon(t, {'listeners': [speaks], 'names': {'hosts': hosts},
                      **(changes or {})})


def guarded(t):
    """One that lets in USER with PASSWORD and nobody else."""
    hashed = openssl(t, 'passwd', '-6', PASSWORD)
    path = t.file('users', f'{USER}:{hashed}')
    return named(t, {'auth': {'users_file': path}, 'clients': [
        {'action': 'allow', 'from': 'any', 'auth': ['password']}]})


def say_nothing_of_the_password(d):
    assert PASSWORD not in d.log(), 'a password is in the log'


def url(o, host=None, scheme='http'):
    return f'{scheme}://{client_authority(o, host)}/'


def client_authority(o, host=None):
    return authority(host or o.host, o.port)


def proxy(d, scheme, address=None, user=None):
    """The URL of a proxy; `user` as it stands before the @."""
    login = f'{user}@' if user else ''
    return f'{scheme}://{login}{authority(*(address or d.address))}'


def spoken(scheme):
    """The protocol behind a scheme, as the access log names it."""
    return scheme.rstrip('ah') if scheme.startswith('socks') else scheme


def curl(t, *args, seconds=20):
    """Its exit status, and what it wrote."""
    done = t.run(tool('curl', 'curl'), '-q', '-sS', '--max-time',
                 str(patient(20)), *args, env=CLEAN, seconds=seconds)
    return done.returncode, done.stdout, done.stderr.decode()


# A page that fetches others, and says what came.
PAGE = '''<html><body><script>
Promise.all(%s.map(u => fetch(u).then(r => r.text()))).then(
\ttexts => { document.body.textContent = 'got ' + texts.join('') },
\tfailed => { document.body.textContent = 'failed ' + failed });
</script></body></html>'''


def pages(bodies):
    """A web server that lets scripts of any page read its answers."""
    def serve(s):
        head = b''
        while b'\r\n\r\n' not in head:
            more = s.recv(4096)
            if not more:
                return
            head += more
        body = bodies.get(head.split(b' ', 2)[1].decode(), HELLO.decode())
        s.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n'
                  b'Access-Control-Allow-Origin: *\r\nConnection: close\r\n'
                  b'Content-Length: %d\r\n\r\n%s' %
                  (len(body), body.encode()))
    return serve


def secure(serve, certificate):
    """The server `serve` behind TLS."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(certificate.path, certificate.key)

    def wrapped(s):
        with c.wrap_socket(s, server_side=True) as inside:
            serve(inside)
    return wrapped


class Echo:
    """A UDP server that sends back what comes."""

    def __init__(self, t, host):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.host, self.port = self.socket.getsockname()[:2]
        threading.Thread(target=self.loop, daemon=True).start()
        t.defer(self.close)

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.socket.recvfrom(1 << 16)
                if not data:
                    return
                self.socket.sendto(data, peer)

    def close(self):
        # An empty datagram wakes it; a shutdown does not.
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as s:
            s.sendto(b'', (self.host, self.port))
        self.socket.close()


class Files:
    """A web server for a folder, in threads of this process."""

    def __init__(self, t, directory, host='127.0.0.1'):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(
            (host, 0), functools.partial(Quiet, directory=directory))
        self.host, self.port = self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()
        t.defer(self.close)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def listens(port, host='127.0.0.1'):
    """Waits until somebody listens there."""
    def look():
        with socket.socket() as s:
            return s.connect_ex((host, port)) == 0
    eventually(look, said=f'somebody on port {port}')


class Sshd:
    """A server on a port of its own that takes a key of the test."""

    def __init__(self, t):
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
        self.t = t
        self.port = unused_port()
        t.start(server, '-D', '-e', '-f', '/dev/null', '-p', str(self.port),
                '-h', t.path('host'), '-o', 'ListenAddress=127.0.0.1',
                '-o', 'AuthorizedKeysFile=' + t.path('keys'),
                '-o', 'StrictModes=no', '-o', 'PermitRootLogin=yes',
                '-o', 'UsePAM=no', '-o', 'PidFile=none',
                # What the user's shell reads at its start is no part of it.
                '-o', 'SetEnv=HOME=' + t.dir)
        listens(self.port)

    def command(self, via):
        """ssh, with a ProxyCommand, up to its options."""
        return [tool('ssh', 'openssh-client'), '-F', 'none',
                '-i', self.t.path('user'), '-p', str(self.port),
                '-o', 'StrictHostKeyChecking=no', '-o', 'LogLevel=ERROR',
                '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes',
                '-o', 'ProxyCommand=' + via]


# --- clients that are written for the tests ---------------------------------

def node_modules(t):
    """The folder of the npm packages that package-lock.json pins.

    Fetched once for a build, by whoever comes first.
    """
    where = os.path.join(t.build, 'clients')
    os.makedirs(where, exist_ok=True)
    digest = hashlib.sha256()
    for name in ('package.json', 'package-lock.json'):
        with open(os.path.join(SOURCES, name), 'rb') as f:
            digest.update(f.read())
    stamp = os.path.join(where, digest.hexdigest()[:16] + '.stamp')
    with open(os.path.join(where, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(stamp):
            fetch_modules(t, where)
            with open(stamp, 'w', encoding='ascii'):
                pass
    return os.path.join(where, 'node_modules')


def fetch_modules(t, where):
    for name in ('package.json', 'package-lock.json'):
        shutil.copy(os.path.join(SOURCES, name), where)
    done = t.run(tool('npm', 'npm'), 'ci', '--ignore-scripts', '--no-audit',
                 '--no-fund', '--prefer-offline', cwd=where, seconds=50)
    assert done.returncode == 0, done.stderr.decode()


def verdicts(done, *wanted):
    """Each line "ok WHAT" that a program of ours wrote, nothing else."""
    said = done.stdout.decode().splitlines()
    assert done.returncode == 0 and said == [f'ok {w}' for w in wanted], \
        f'{done.returncode}: {said} {done.stderr.decode()}'
