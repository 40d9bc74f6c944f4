"""Tools that wrap a connection: proxychains, nc, ncat, socat and others."""
from lib import client
from lib.case import each, eventually, netns, same, tool
from lib.clients import (CLEAN, GET, HELLO, NAME, NAME6, PASSWORD, USER,
                         guarded, named, secure, url)
from lib.origin import Origin, web
from lib.tls import Certificate

PROTOCOLS = {'socks4': 'socks4', 'socks5': 'socks5', 'http': 'http',
             '4': 'socks4', '5': 'socks5', 'connect': 'http'}


def fetched(t, *command, **options):
    """What a program brings that is given a request to send."""
    done = t.run(*command, stdin=None, input=GET,
                 **{'env': CLEAN, **options})
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.endswith(HELLO), (done.stdout, done.stderr)


def went(d, protocol, target):
    """The line of a session that went that way."""
    line = d.wait_access(target=target)
    same(line['protocol'], PROTOCOLS[protocol])
    assert line['outcome'] in ('closed', 'client-reset'), line
    return line


# --- proxychains4 -----------------------------------------------------------

def chained(t, hops, *command):
    """Runs a program behind hops of (kind, daemon, more words)."""
    lines = [' '.join([kind, d.address[0], str(d.address[1]), *more])
             for kind, d, *more in hops]
    path = t.file('chain.conf', '\n'.join(
        ['strict_chain', 'proxy_dns', '[ProxyList]', *lines, '']))
    return t.run(tool('proxychains4', 'proxychains4'), '-q', '-f', path,
                 *command, env=CLEAN)


def chained_curl(t, hops, *args):
    tool('curl', 'curl')
    done = chained(t, hops, 'curl', '-q', '-sS', '-4', *args)
    same((done.returncode, done.stdout), (0, HELLO))


@each('socks4', 'socks5', 'http')
def test_proxychains4(t, kind):
    d = named(t)
    o = Origin(t, web(HELLO))
    for host in ('127.0.0.1', NAME):
        chained_curl(t, [(kind, d)], url(o, host))
        went(d, kind, f'{host}:{o.port}')


@each('socks5 socks5', 'socks4 socks5', 'socks5 socks4', 'socks4 http',
      'http socks5')
def test_proxychains4_over_two_hops(t, kinds):
    first, second = kinds.split()
    near, far = named(t), named(t)
    o = Origin(t, web(HELLO))
    chained_curl(t, [(first, near), (second, far)], url(o, NAME))
    went(near, first, client.authority(*far.address))
    went(far, second, f'{NAME}:{o.port}')


def test_proxychains4_speaks_tls(t):
    near, far = named(t), named(t)
    certificate = Certificate(t, NAME)
    o = Origin(t, secure(web(HELLO), certificate))
    chained_curl(t, [('socks5', near), ('socks5', far)], '--cacert',
                 certificate.path, url(o, NAME, 'https'))


# --- nc, ncat, socat, connect-proxy -----------------------------------------

@each('4', '5', 'connect')
def test_nc(t, version):
    nc = tool('nc', 'netcat-openbsd')
    d = named(t)
    o = Origin(t, web(HELLO))
    fetched(t, nc, '-X', version, '-x', client.authority(*d.address),
            '-N', '127.0.0.1', str(o.port))
    went(d, version, f'127.0.0.1:{o.port}')


@each('socks4', 'socks5', 'http')
def test_ncat(t, kind):
    ncat = tool('ncat', 'ncat')
    d = named(t)
    o = Origin(t, web(HELLO))
    words = [ncat, '--proxy', client.authority(*d.address),
             '--proxy-type', kind]
    fetched(t, *words, '127.0.0.1', str(o.port))
    went(d, kind, f'127.0.0.1:{o.port}')
    fetched(t, *words, '--proxy-dns', 'remote', NAME, str(o.port))
    went(d, kind, f'{NAME}:{o.port}')


def test_ncat_to_ipv6_over_ipv6(t):
    ncat = tool('ncat', 'ncat')
    d = named(t)
    o = Origin(t, web(HELLO), host='::1')
    fetched(t, ncat, '--proxy', client.authority(*d.at('::1')),
            '--proxy-type', 'socks5', '-6', '::1', str(o.port))
    went(d, 'socks5', f'[::1]:{o.port}')


def test_ncat_logs_in(t):
    ncat = tool('ncat', 'ncat')
    d = guarded(t)
    o = Origin(t, web(HELLO))
    words = [ncat, '--proxy', client.authority(*d.address), '--proxy-type',
             'socks5', '--proxy-auth']
    fetched(t, *words, f'{USER}:{PASSWORD}', '127.0.0.1', str(o.port))
    same(went(d, 'socks5', f'127.0.0.1:{o.port}')['user'], USER)
    done = t.run(*words, f'{USER}:mad', '127.0.0.1', str(o.port), env=CLEAN)
    assert done.returncode, done.stdout
    d.wait_access(outcome='auth-failed')


@each('SOCKS4', 'SOCKS4A', 'SOCKS4A-name6', 'PROXY')
def test_socat(t, what):
    socat = tool('socat', 'socat')
    kind, _, how = what.partition('-')
    d = named(t, {'clients': [{'action': 'allow', 'from': 'any',
                               'userid': [USER]}]})
    o = Origin(t, web(HELLO), host='::1' if how else '127.0.0.1')
    host = NAME6 if how else NAME if kind == 'SOCKS4A' else '127.0.0.1'
    more = f'proxyport={d.address[1]}' if kind == 'PROXY' else \
        f'socksport={d.address[1]},socksuser={USER}'
    fetched(t, socat, '-t', '10', '-',
            f'{kind}:{d.address[0]}:{host}:{o.port},{more}')
    line = went(d, 'http' if kind == 'PROXY' else 'socks4',
                f'{host}:{o.port}')
    same(line.get('user'), None if kind == 'PROXY' else USER)


@each('4', '4-name', '5', '5-name', 'connect')
def test_connect_proxy(t, what):
    program = tool('connect-proxy', 'connect-proxy')
    version, _, how = what.partition('-')
    d = named(t)
    o = Origin(t, web(HELLO))
    host = NAME if how else '127.0.0.1'
    at = client.authority(*d.address)
    words = ['-H', at] if version == 'connect' else \
        ['-' + version, '-R', 'remote', '-S', at]
    fetched(t, program, *words, host, str(o.port))
    went(d, version, f'{host}:{o.port}')


def test_connect_proxy_logs_in(t):
    program = tool('connect-proxy', 'connect-proxy')
    d = guarded(t)
    o = Origin(t, web(HELLO))
    fetched(t, program, '-S', f'{USER}@{client.authority(*d.address)}',
            '127.0.0.1', str(o.port),
            env={**CLEAN, 'SOCKS5_PASSWORD': PASSWORD})
    same(went(d, 'socks5', f'127.0.0.1:{o.port}')['user'], USER)


# --- socksify ---------------------------------------------------------------

def socksify(t, d, version, method='none'):
    """socksify and its environment, which sends all through a daemon."""
    host, port = d.address
    # One word a line: its reader takes no two protocols in one.
    path = t.file('socks.conf', f'''
logoutput: {t.path('socksify.log')}
resolveprotocol: fake
route {{
 from: 0.0.0.0/0 to: 0.0.0.0/0
 via: {host} port = {port}
 protocol: {'tcp' if version == 'socks_v4' else 'tcp udp'}
 proxyprotocol: {version}
 method: {method}
}}
''')
    # Left alone it goes straight to whatever is on a network of ours.
    return tool('socksify', 'dante-client'), {
        **CLEAN, 'SOCKS_CONF': path, 'SOCKS_AUTOADD_LANROUTES': 'no'}


@each('socks_v4', 'socks_v5')
def test_socksify(t, version):
    d = named(t)
    o = Origin(t, web(HELLO))
    program, env = socksify(t, d, version)
    # It knows SOCKS4 without names.
    for host in ('127.0.0.1', NAME)[:int(version[-1]) - 3]:
        done = t.run(program, tool('curl', 'curl'), '-q', '-sS', '-4',
                     url(o, host), env=env)
        same((done.returncode, done.stdout), (0, HELLO))
        went(d, version.replace('_v', ''), f'{host}:{o.port}')


def test_socksify_logs_in(t):
    d = guarded(t)
    o = Origin(t, web(HELLO))
    program, env = socksify(t, d, 'socks_v5', 'username')
    done = t.run(program, tool('curl', 'curl'), '-q', '-sS', '-4', url(o),
                 env={**env, 'SOCKS_USERNAME': USER,
                      'SOCKS_PASSWORD': PASSWORD})
    same((done.returncode, done.stdout), (0, HELLO))
    same(went(d, 'socks5', f'127.0.0.1:{o.port}')['user'], USER)


@netns
def test_dns_through_an_association(t):
    """Asks dnsmasq by UDP; only the daemon's datagrams get there."""
    asks = tool('drill', 'ldnsutils')
    d = named(t)
    server = t.start(
        tool('dnsmasq', 'dnsmasq-base'), '--keep-in-foreground',
        '--conf-file=/dev/null', '--no-resolv', '--no-hosts',
        '--bind-interfaces', '--listen-address=127.0.0.1', '--port=5353',
        '--user=root', '--pid-file=', '--log-queries', '--log-facility=-',
        f'--address=/{NAME}/192.0.2.7', '--cache-size=0')

    def said(text):
        with open(server.log, encoding='utf-8') as f:
            return text in f.read()
    eventually(lambda: said('started'), said='dnsmasq')
    # dig would not do: it sends by sendmmsg(2), which socksify does not know.
    program, env = socksify(t, d, 'socks_v5')
    done = t.run(program, asks, '-p', '5353', '@127.0.0.1', NAME, env=env)
    assert done.returncode == 0 and b'192.0.2.7' in done.stdout, \
        (done.stdout, done.stderr)
    line = d.wait_access(command='udp')
    assert int(line['up']) > 0 and int(line['down']) > 0, line
