"""danted beside spliced: a network for both, and requests to either.

The network is one of the test's own, with a name server on port 53 and
accounts of its own; see enter().
"""
import collections
import concurrent.futures
import ctypes
import os
import random
import re
import signal
import socket
import subprocess

from . import client, dns, net
from .case import Skip, eventually, patient, tool
from .daemon import Daemon, once
from .origin import Origin
from .users import crypt

HERE = os.path.normpath(os.path.join(os.path.dirname(__file__), '..',
                                     'danted'))
CLONE_NEWNS = 0x20000

# Whose requests come from here, and what is reached.
CLIENTS = ['10.20.0.1', '10.20.0.9', '10.20.1.5', '10.20.2.9', '10.30.0.7',
           '192.168.50.4', '198.51.100.77']
DEVICES = {
    'eth0': ['203.0.113.10/32', '203.0.113.11/32', '203.0.113.12/32',
             '2001:db8:1::10/128'],
    'tun0': ['10.8.0.2/32'],
    'tgt0': ['192.0.2.80/32', '192.0.2.81/32', '192.0.2.99/32',
             '192.0.2.190/32', '192.0.2.200/32', '2001:db8:2::80/128'],
}
NAMES = {
    'www.example.com': '192.0.2.80', 'example.com': '192.0.2.81',
    'evilexample.com': '192.0.2.99', 'api.example.net': '192.0.2.190',
    'other.example.org': '192.0.2.200', 'inner.example.com': '10.20.0.1',
    'v6.example.org': '2001:db8:2::80',
}
TARGETS = [(a.split('/')[0], p) for a in DEVICES['tgt0']
           for p in (22, 25, 80, 443, 8080)] + \
    [(a, 22) for a in ('10.20.0.1', '127.0.0.1', '203.0.113.11')]
ACCOUNTS = ('alice', 'bob', 'carol')

Request = collections.namedtuple(
    'Request', 'source listener offer command host port')
Expected = collections.namedtuple('Expected', 'request danted spliced why')


def read(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as f:
        return f.read()


def expected(config):
    """The lines of `expect` about a configuration."""
    for line in read('expect').splitlines():
        words = line.split(' ', 9)
        if words[0] != config:
            continue
        host, port = words[2].rsplit(':', 1)
        request = Request(words[1], (host, int(port)), words[3], words[4],
                          words[5], int(words[6]))
        spliced = words[7] if words[8] == '=' else words[8]
        yield Expected(request, words[7], spliced, ' '.join(words[9:]))


# --- The network ------------------------------------------------------------

class NameServer(dns.DnsServer):
    """One on port 53, where danted asks."""

    @staticmethod
    def bind(host):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((host, 53))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind((host, 53))
        tcp.listen(64)
        return udp, tcp


def mount(t, name, text, mode=0o644):
    """Puts a file of the test in the place of one of /etc."""
    done = subprocess.run(
        ['mount', '--bind', t.file('etc-' + name, text, mode), '/etc/' + name],
        capture_output=True, check=False)
    if done.returncode:
        raise Skip(f'no rights to mount: {done.stderr.decode()}')


def accounts(t):
    """Accounts of this machine with those of the test behind them."""
    def now(name):
        with open('/etc/' + name, encoding='utf-8') as f:
            return f.read()
    passwd, shadow, group = map(now, ('passwd', 'shadow', 'group'))
    for number, name in enumerate(ACCOUNTS, 2101):
        passwd += f'{name}:x:{number}:{number}::/:/usr/sbin/nologin\n'
        shadow += f'{name}:{crypt("pw" + name)}:19000:0:99999:7:::\n'
        group += f'{name}:x:{number}:\n'
    mount(t, 'passwd', passwd)
    mount(t, 'shadow', shadow, 0o600)
    mount(t, 'group', group + 'socks:x:2000:carol\n')


def enter(t):
    """Gives a test that is marked `netns` all that danted needs."""
    if os.geteuid():
        raise Skip('only root reads shadow(5), and mounts')
    if net.libc.unshare(CLONE_NEWNS):
        raise Skip('no rights to make a mount namespace: '
                   f'{os.strerror(ctypes.get_errno())}')
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    mount(t, 'resolv.conf',
          'nameserver 127.0.0.1\noptions timeout:1 attempts:2\n')
    mount(t, 'hosts', '127.0.0.1 localhost\n::1 localhost\n')
    accounts(t)
    for address in CLIENTS:
        net.add_address(address + '/32')
    for name, addresses in DEVICES.items():
        net.dummy(name)
        for address in addresses:
            net.add_address(address, name)
    records = {(name, 'AAAA' if ':' in a else 'A'): dns.a(a)
               for name, a in NAMES.items()}
    NameServer(t, records)
    for host, port in TARGETS:
        Origin(t, lambda s: None, host=host, port=port)
    for port, serve in ((3128, http_parent), (1081, socks_parent)):
        Origin(t, serve, host='10.20.0.9', port=port)


def http_parent(s):
    s.recv(4096)
    s.sendall(b'HTTP/1.0 200 OK\r\n\r\n')


def socks_parent(s):
    s.recv(300)
    s.sendall(b'\5\0')
    s.recv(300)
    s.sendall(b'\5\0\0\1\x0a\x14\0\x09\x12\x34')


# --- The two ----------------------------------------------------------------

class Danted:
    """The real one, with its own file."""

    def __init__(self, t, text, first):
        self.process = t.start(
            tool('danted', 'dante-server'), '-p', t.path('danted.pid'), '-f',
            t.file('danted.conf', text), start_new_session=True)
        t.defer(self.stop)
        self.wait(first)

    def wait(self, first):
        """Until the first line of `expect` is true: it accepts before."""
        def up():
            assert self.process.poll() is None, 'danted has ended'
            try:
                return ask(first.request).startswith(first.danted)
            except OSError:
                return False
        eventually(up, 20, f'danted serves {first}')

    def stop(self):
        """Ends it with its children, which would go on, and listen."""
        def gone():
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.poll()
                return False
            except ProcessLookupError:
                return True
        eventually(gone, 5, 'danted and its children end')
        self.process.wait(patient(5))


def convert(t, text, status=0):
    """The result of the importer and what it says, for a file's text."""
    t.count += 1
    path = t.file(f'danted-{t.count}.conf', text)
    done = once(t, '--import-danted', path)
    assert done.returncode == status, \
        f'{done.returncode}, not {status}: {done.err}'
    done.remarks = re.findall(r'^\S+?\.conf(?::(\d+))?: (\w+): (.*)$',
                              done.err, re.M)
    return done


def serve(t, text, helper=None):
    """spliced by a result, without what slows down who guesses passwords."""
    options = 'failure_delay = "0"; lock_after = 0;'
    if helper:
        options += f' helper = "{helper.path}";'
    text = text.replace('\nauth: {', f'\nauth: {{ {options}')
    # More of its own lines than its author wants, for when a test fails.
    text = text.replace('[ "error" ]', '[ "disconnect", "error" ]')
    text = text.replace('\ntimeouts: {', '\ntimeouts: { bind = "1s";')
    text += 'admin: { socket = ""; };\n'
    return Daemon(t, text=text)


# --- Requests ---------------------------------------------------------------

def first_bytes(s, n):
    """What comes at first, or how it ended."""
    try:
        return client.read_exact(s, n)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        return b''


def ask_socks4(s, request):
    s.sendall(client.socks4_request(request.host, request.port))
    reply = first_bytes(s, 8)
    if not reply:
        return 'drop'
    return 'ok' if reply[1] == client.GRANTED else 'v4fail'


def log_in(s, offer):
    """None once the client is in, else what came instead."""
    kind, *login = offer.split(':')
    methods = {'n': b'\0', 'u': b'\2', 'nu': b'\0\2'}[kind]
    try:
        s.sendall(bytes([5, len(methods)]) + methods)
    except OSError:
        return 'drop'
    reply = first_bytes(s, 2)
    if not reply:
        return 'drop'
    if reply[1] == 0xff:
        return 'nomethod'
    if reply[1] == 2:
        s.sendall(client.socks5_login(*login))
        if first_bytes(s, 2) != b'\1\0':
            return 'authfail'
    return None


def ask(request, patience=15):
    """The outcome of a request, in the words of `expect`."""
    with client.dial(request.listener, patience,
                     source=request.source) as s:
        if request.offer == 'v4':
            return ask_socks4(s, request)
        outcome = log_in(s, request.offer)
        if outcome:
            return outcome
        command = {'connect': client.CONNECT, 'bind': client.BIND,
                   'udp': client.UDP}[request.command]
        s.sendall(client.socks5_request(request.host, request.port, command))
        head = first_bytes(s, 4)
        if not head:
            return 'closed'
        if head[1]:
            return f'rep:{head[1]:02}'
        size = 4 if head[3] == 1 else 16
        family = socket.AF_INET if size == 4 else socket.AF_INET6
        return 'ok:' + socket.inet_ntop(family, first_bytes(s, size))


def ask_all(requests):
    """Their outcomes, in the same order.

    Clients ask at once, each one thing after the other: spliced verifies few
    passwords of one client at a time.
    """
    outcomes = {}

    def ask_of(source):
        for r in requests:
            if r.source == source:
                outcomes[r] = ask(r)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask_of, sorted({r.source for r in requests})))
    return [outcomes[r] for r in requests]


def generated(config, count, listeners, offers):
    """As many requests as wanted, the same each time, no two alike."""
    rng = random.Random(config)
    hosts = list(NAMES) + [a for a, _ in TARGETS] + \
        ['localhost', 'nx.example.com', '192.0.2.1', '192.0.2.129',
         '192.0.2.127', '192.0.2.128', '203.0.113.12', '10.99.0.1',
         '172.16.0.1', '172.32.0.1', '192.168.50.4', '127.0.0.2', '::1',
         '2001:db8:2::81', '2001:db8:3::1', 'WWW.Example.COM',
         'a.b.example.com']
    ports = [9, 22, 25, 80, 443, 7999, 8000, 8080, 8999, 9000]
    found = {}
    while len(found) < count:
        offer = rng.choice(offers)
        host = rng.choice(hosts)
        command = rng.choice(['connect'] * 8 + ['bind', 'udp'])
        port = rng.choice(ports)
        if offer == 'v4':
            host, command = rng.choice(['192.0.2.80', '10.20.0.1',
                                        '192.0.2.200']), 'connect'
        if command == 'udp':
            host, port = '0.0.0.0', 0
        found[Request(rng.choice(CLIENTS), rng.choice(listeners), offer,
                      command, host, port)] = True
    return list(found)
