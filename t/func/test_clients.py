"""curl through every protocol that is served."""
import hashlib

from lib.case import SLOWNESS, each, same, timeout
from lib.clients import (HELLO, LOGIN, NAME, NAME6, USER, client_authority,
                         curl, guarded, named, proxy,
                         say_nothing_of_the_password, secure, spoken, url)
from lib.conf import allow, deny
from lib.daemon import Daemon
from lib.origin import BLOCK, Origin, unused_port, web
from lib.tls import Certificate

MIB = 16 if SLOWNESS == 1 else 4


@each('socks4', 'socks4a', 'socks5', 'socks5h', 'http')
def test_curl(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    same(curl(t, '-p', '-x', proxy(d, scheme), url(o)), (0, HELLO, ''))
    line = d.wait_access(outcome='closed')
    same((line['protocol'], line['command'], line['target']),
         (spoken(scheme), 'connect', client_authority(o)))


@each('socks4a', 'socks5h', 'http')
def test_curl_by_name(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    args = ['-p', '-x', proxy(d, scheme)]
    same(curl(t, *args, url(o, NAME)), (0, HELLO, ''))
    line = d.wait_access(outcome='closed')
    same(line['target'], f'{NAME}:{o.port}')


@each('socks4', 'socks5')
def test_curl_resolves_by_itself(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    same(curl(t, '-x', proxy(d, scheme), '--resolve',
              f'{NAME}:{o.port}:127.0.0.1', url(o, NAME)), (0, HELLO, ''))
    line = d.wait_access(outcome='closed')
    same(line['target'], f'127.0.0.1:{o.port}')


@each('socks4', 'socks4a', 'socks5', 'socks5h', 'http')
def test_curl_speaks_tls(t, scheme):
    d = named(t)
    certificate = Certificate(t, NAME)
    o = Origin(t, secure(web(HELLO), certificate))
    args = ['-x', proxy(d, scheme), '--cacert', certificate.path]
    if scheme in ('socks4', 'socks5'):
        args += ['--resolve', f'{NAME}:{o.port}:127.0.0.1']
    same(curl(t, *args, url(o, NAME, 'https')), (0, HELLO, ''))


@each('socks5', 'socks5h', 'http')
def test_curl_to_ipv6(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO), host='::1')
    args = ['-p', '-g', '-x', proxy(d, scheme)]
    same(curl(t, *args, url(o)), (0, HELLO, ''))


def test_curl_to_ipv6_by_socks4a(t):
    """Which has names, but no IPv6 addresses."""
    d = named(t)
    o = Origin(t, web(HELLO), host='::1')
    args = ['-x', proxy(d, 'socks4a')]
    same(curl(t, *args, url(o, NAME6)), (0, HELLO, ''))


@each('socks4', 'socks4a', 'socks5', 'socks5h', 'http')
def test_curl_over_ipv6(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    args = ['-p', '-g', '-x', proxy(d, scheme, d.at('::1'))]
    same(curl(t, *args, url(o)), (0, HELLO, ''))


@each('socks4', 'socks5h', 'http')
@timeout(60)
def test_curl_downloads(t, scheme):
    d = named(t)
    body = BLOCK * MIB
    o = Origin(t, web(body))
    code, out, err = curl(t, '-p', '-x', proxy(d, scheme), url(o), seconds=50)
    assert code == 0, err
    same(hashlib.sha256(out).digest(), hashlib.sha256(body).digest())


@each('socks4a', 'socks5h', 'http')
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

    d = named(t)
    o = Origin(t, serve)
    path = t.file('body', body)
    code, out, err = curl(t, '-p', '-x', proxy(d, scheme), '-T', path,
                          url(o, None if scheme == 'http' else NAME))
    assert (code, out) == (0, b'ok'), err
    same(got, [body])


@each('socks4a', 'socks5h')
def test_curl_50_at_once(t, scheme):
    d = named(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-Z', '--parallel-max', '50', '-x',
                          proxy(d, scheme), url(o, NAME) + '?[1-50]')
    assert code == 0, err
    same(out, HELLO * 50)


def test_curl_200_one_after_the_other(t):
    d = Daemon(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-x', proxy(d, 'socks5h'), url(o) + '?[1-200]')
    assert code == 0, err
    same(out, HELLO * 200)


# --- refusals ---------------------------------------------------------------

# The exit status, and what stands in curl's message.
REFUSED = {'socks4': (97, '(91)'), 'socks4a': (97, '(91)'),
           'socks5': (97, '(5)'), 'socks5h': (97, '(5)'), 'http': (56, '502')}
DENIED = {**REFUSED, 'socks5': (97, '(2)'), 'socks5h': (97, '(2)'),
          'http': (56, '403')}


def assert_refused(got, wanted):
    code, out, err = got
    assert (code, out) == (wanted[0], b'') and wanted[1] in err, got


@each('socks4', 'socks4a', 'socks5', 'socks5h', 'http')
def test_curl_is_told_of_a_refusal(t, scheme):
    d = named(t)
    target = f'http://127.0.0.1:{unused_port()}/'
    assert_refused(curl(t, '-p', '-x', proxy(d, scheme), target),
                   REFUSED[scheme])
    d.wait_access(outcome='refused')


@each('socks4', 'socks4a', 'socks5', 'socks5h', 'http')
def test_curl_is_told_that_a_rule_denies(t, scheme):
    o = Origin(t, web(HELLO))
    d = named(t, {'rules': [deny(ports=[str(o.port)]), allow()]})
    assert_refused(curl(t, '-p', '-x', proxy(d, scheme), url(o)),
                   DENIED[scheme])
    d.wait_access(outcome='denied')
    same(o.accepted, 0)


# --- logins -----------------------------------------------------------------

@each('socks5', 'socks5h')
def test_curl_logs_in(t, scheme):
    d = guarded(t)
    o = Origin(t, web(HELLO))
    same(curl(t, '-x', proxy(d, scheme, user=LOGIN), url(o)), (0, HELLO, ''))
    same(d.wait_access(outcome='closed')['user'], USER)
    say_nothing_of_the_password(d)


def test_curl_logs_in_50_times_at_once(t):
    """As a browser might; each password is hashed."""
    d = guarded(t)
    o = Origin(t, web(HELLO))
    code, out, err = curl(t, '-Z', '--parallel-max', '50', '-x',
                          proxy(d, 'socks5h', user=LOGIN),
                          url(o, NAME) + '?[1-50]')
    assert code == 0, err
    same(out, HELLO * 50)
    same(d.wait_access(50, outcome='closed')['user'], USER)


@each('wrong', 'none', 'socks4')
def test_curl_is_not_let_in(t, how):
    d = guarded(t)
    o = Origin(t, web(HELLO))
    scheme, user = {'wrong': ('socks5h', f'{USER}:mad'),
                    'none': ('socks5h', None),
                    'socks4': ('socks4', USER)}[how]
    code, out, err = curl(t, '-x', proxy(d, scheme, user=user), url(o))
    assert (code, out) == (97, b''), err
    assert how != 'socks4' or '(93)' in err, err
    d.wait_access()
    same(o.accepted, 0)


@each('socks4', 'socks4a')
def test_curl_says_who_it_is(t, scheme):
    """A user id, which SOCKS4 has for a login."""
    d = named(t, {'clients': [
        {'action': 'allow', 'from': 'any', 'userid': ['bob', USER]}]})
    o = Origin(t, web(HELLO))
    same(curl(t, '-x', proxy(d, scheme, user=USER), url(o)), (0, HELLO, ''))
    same(d.wait_access(outcome='closed')['user'], USER)
    assert_refused(curl(t, '-x', proxy(d, scheme, user='eve'), url(o)),
                   (97, '(93)'))
