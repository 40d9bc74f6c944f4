"""TLS listeners: proxies by https and SOCKS over TLS, certificates as data."""
import os
import re
import signal
import socket
import ssl
import subprocess
from threading import Thread

from lib import client, conf
from lib.case import (Skip, each, eventually, patient, same, timeout,
                      tool)
from lib.client import (dial, echoes, http_request, read_exact, read_to_end,
                        socks5_greet, socks5_request, socks5_reply)
from lib.control import fails
from lib.daemon import Daemon, check
from lib.origin import Origin, echo, web
from lib.tls import Certificate, context, openssl
from lib.users import readable, users


def entry(shows, **changes):
    return {'name': 'edge', 'certificate': shows.path, 'key': shows.key,
            **changes}


def served(shows, more=None, **changes):
    """Changes for a daemon whose one listener has TLS."""
    return {'tls': [entry(shows, **changes)],
            'listeners': [conf.listener(tls='edge', **(more or {}))]}


def wrapped(d, name='localhost', session=None, version=None, **options):
    """A connection to it after its handshake."""
    s = dial(d.address)
    try:
        return context(version, **options).wrap_socket(
            s, server_hostname=name, session=session)
    except BaseException:
        s.close()
        raise


def ask_socks5(s, target):
    same(socks5_greet(s), b'\5\0')
    s.sendall(socks5_request(*target))
    return socks5_reply(s).code


def connect_to(o):
    return http_request('%s:%d' % o.target)


def tunnel(d, o, **options):
    """One that has been tried."""
    s = wrapped(d, **options)
    same(ask_socks5(s, o.target), client.SUCCEEDED)
    assert echoes(s)
    return s


def shown(d, name='localhost'):
    """The certificate that a client is shown."""
    with wrapped(d, name) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).strip()


def pem(certificate):
    with open(certificate.path, encoding='ascii') as f:
        return f.read().strip()


def refresh(d):
    done = d.control.run('refresh')
    same((done.returncode, done.err), (0, ''))


# --- Protocols --------------------------------------------------------------

@each('1.2', '1.3')
def test_socks_over_tls(t, version):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    with tunnel(d, o, version=version, ca=c) as s:
        same(s.version(), 'TLSv' + version)
        data = client.noise(1 << 20)
        s.sendall(data[:1000])
        same(read_exact(s, 1000), data[:1000])
    d.wait_access(protocol='socks5', outcome='closed')
    d.assert_polled()


def curl(t, d, ca, *words, scheme='https', seconds=20):
    port = d.address[1]
    done = t.run(tool('curl', 'curl'), '-sS', '--noproxy', '', '--proxy',
                 f'{scheme}://localhost:{port}', '--proxy-cacert', ca.path,
                 *words, seconds=seconds)
    return done.returncode, done.stdout, done.stderr.decode()


def test_curl_uses_it_as_an_https_proxy(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, web(b'hello'))
    url = 'http://%s:%d/' % o.target
    for words in ((), ('--proxytunnel',), ('--tlsv1.3',),
                  ('--proxy1.0', f'localhost:{d.address[1]}')[:0]):
        same(curl(t, d, c, url, *words), (0, b'hello', ''))
    d.wait_access(protocol='http', command='connect', outcome='closed')
    status, _, error = curl(t, d, Certificate(t), url)
    same(status, 60)
    assert 'certificate' in error, error


def test_python_and_node_use_it_as_an_https_proxy(t):
    """CONNECT over TLS by hand in Python, and by Node's own tls."""
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    with wrapped(d, ca=c, alpn=['http/1.1']) as s:
        same(s.selected_alpn_protocol(), 'http/1.1')
        s.sendall(connect_to(o))
        same(read_exact(s, 12), b'HTTP/1.1 200')
    script = '''
const tls = require('tls'), fs = require('fs');
const [port, ca, target] = process.argv.slice(1);
const s = tls.connect({ port, host: '127.0.0.1', servername: 'localhost',
    ca: fs.readFileSync(ca), ALPNProtocols: ['http/1.1'] }, () =>
    s.write(`CONNECT ${target} HTTP/1.1\\r\\nHost: ${target}\\r\\n\\r\\n`));
let got = '', told = false;
s.on('data', (d) => {
    got += d;
    if (!told && got.includes('\\r\\n\\r\\n')) { told = true; s.write('ping'); }
    if (got.endsWith('ping')) {
        console.log(s.alpnProtocol, s.getProtocol(), got.split(' ')[1]);
        s.end();
    }
});'''
    done = t.run(tool('node', 'nodejs'), '-e', script, str(d.address[1]),
                 c.path, '%s:%d' % o.target)
    same((done.returncode, done.stdout),
         (0, b'http/1.1 TLSv1.3 200\n'), )


def test_alpn_is_of_http(t):
    """Who offers nothing is served; where no HTTP is spoken all is fine."""
    c = Certificate(t)
    d = Daemon(t, served(c))
    for offered, chosen in ((['http/1.1'], 'http/1.1'), (None, None),
                            (['xyz', 'http/1.0'], 'http/1.0')):
        with wrapped(d, alpn=offered) as s:
            same(s.selected_alpn_protocol(), chosen)
    try:
        wrapped(d, alpn=['xyz']).close()
        raise AssertionError('xyz is spoken')
    except ssl.SSLError as e:
        assert 'no application protocol' in str(e), e
    d.write(served(c, {'protocols': ['socks5']}))
    d.reload()
    with wrapped(d, alpn=['xyz']) as s:
        same(s.selected_alpn_protocol(), None)


# --- Names and versions -----------------------------------------------------

def test_the_name_chooses_the_certificate(t):
    one, two = (Certificate(t, n) for n in ('one.test', 'two.test'))
    both = {'certificate': [one.path, two.path], 'key': [one.key, two.key]}
    d = Daemon(t, served(one, **both))
    same([shown(d, n) for n in ('one.test', 'two.test', 'other.test')],
         [pem(one), pem(two), pem(one)])
    d.write(served(one, strict_names=True, **both))
    d.reload()
    same(shown(d, 'two.test'), pem(two))
    try:
        wrapped(d, 'other.test').close()
        raise AssertionError('other.test is served')
    except ssl.SSLError as e:
        assert 'unrecognized name' in str(e), e


def test_options_reach_openssl(t):
    c = Certificate(t)
    d = Daemon(t, served(c, min_version='1.3',
                         ciphersuites='TLS_CHACHA20_POLY1305_SHA256'))
    with wrapped(d) as s:
        same(s.cipher()[0], 'TLS_CHACHA20_POLY1305_SHA256')
    try:
        wrapped(d, version='1.2').close()
        raise AssertionError('1.2 is spoken')
    except (ssl.SSLError, ConnectionError):
        pass
    d.wait_access(outcome='tls-failed', reason='unsupported protocol')


# --- Failures ---------------------------------------------------------------

def test_a_failed_handshake_is_an_access_event_with_its_reason(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    with dial(d.address) as s:
        s.sendall(b'\x16\x03\x01\0\5garbage, and more of it')
        read_to_end(s)
    line = d.wait_access(outcome='tls-failed')
    assert line['reason'] and 'target' not in line, line
    same(line['error'], 'EPROTO')
    tunnel(d, o).close()


@each(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      b'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n')
def test_plain_http_to_it_is_told_so(t, request):
    d = Daemon(t, served(Certificate(t)))
    with dial(d.address) as s:
        s.sendall(request)
        answer, how = read_to_end(s)
    same(how, 'eof')
    assert answer.startswith(b'HTTP/1.1 400 '), answer
    head, body = answer.split(b'\r\n\r\n')
    same(int(re.search(rb'Content-Length: (\d+)', head)[1]), len(body))
    assert b'https://' in body, answer
    d.wait_access(outcome='tls-failed')


def test_who_says_nothing_is_closed(t):
    d = Daemon(t, {**served(Certificate(t)),
                   'timeouts': {'tls': '200ms', 'handshake': '300ms'}})
    for hello in (b'', b'\x16\x03\x01'):
        with dial(d.address) as s:
            s.sendall(hello)
            same(read_to_end(s)[0], b'')
    d.wait_access(count=2, outcome='handshake-timeout')


# --- Certificates that change -----------------------------------------------

def replace(old, new):
    """Another certificate in the files of the old one, by rename."""
    os.rename(new.key, old.key)
    os.rename(new.path, old.path)


def test_a_renewed_certificate_is_shown_and_tunnels_live_on(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    same(shown(d), pem(c))
    with tunnel(d, o) as s:
        before = pem(c)
        replace(c, Certificate(t))
        refresh(d)
        assert pem(c) != before
        same(shown(d), pem(c))
        assert echoes(s)
    same(d.control.status()['generations'], 1)
    d.wait_log(r'notice certificates of 1 entries of tls were read anew\n')


@timeout(60)
def test_a_renewed_certificate_is_seen(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    replace(c, Certificate(t))
    d.wait_log(r'refreshed, \S+pem has changed', 20)
    d.wait_log(r'notice certificates of 1 entries of tls were read anew\n')
    same(shown(d), pem(c))


def test_a_bad_certificate_leaves_the_old(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    before = pem(c)
    os.rename(Certificate(t).path, c.path)      # and the key stays
    fails(d.control.run('refresh'), 1,
          rf'^splicedctl: .*: tls "edge": .*{re.escape(c.path)}')
    same(shown(d), before)
    d.wait_log(r'error refresh failed, certificates that were read before '
               r'hold: .*tls "edge"')
    replace(c, Certificate(t))
    refresh(d)
    same(shown(d), pem(c))


def test_users_count_though_a_certificate_is_bad(t):
    c = Certificate(t)
    path = t.file('list', '127.0.0.2\n')
    d = Daemon(t, {**served(c), 'rules': [
        {'action': 'allow', 'to': ['@' + path]}]})
    o = Origin(t, echo)
    os.rename(Certificate(t).path, c.path)
    os.rename(t.file('other', '127.0.0.0/8\n'), path)
    fails(d.control.run('refresh'), 1, 'tls "edge"')
    tunnel(d, o).close()


def test_a_start_needs_all_of_it(t):
    c = Certificate(t)
    missing = t.path('missing.pem')
    text = conf.render(conf.merge(served(c, certificate=missing)))
    done = check(t, text)
    same(done.returncode, 1)
    assert re.search(rf':\d+: tls "edge": .*{re.escape(missing)}: No such',
                     done.stderr.decode()), done.stderr
    d = Daemon(t, served(c))
    d.reload(served(c, certificate=missing), fails='tls "edge"')
    same(shown(d), pem(c))


# --- Tickets ----------------------------------------------------------------

def resumed(t, d, session, version, write=False):
    """What openssl's client says of a handshake, with or without a ticket.

    It waits for the tunnel's first bytes, which come behind the ticket.
    """
    words = ['-sess_out' if write else '-sess_in', session]
    p = t.start(tool('openssl', 'openssl'), 's_client', '-connect',
                '%s:%d' % d.address, '-servername', 'localhost', '-ign_eof',
                '-tls' + version.replace('.', '_'), *words,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT)
    said = p.communicate(b'GET /\r\nbad\r\n\r\n', patient(10))[0].decode('latin-1')
    return bool(re.search(r'^Reused, TLSv' + version, said, re.M))


@each('1.2', '1.3')
def test_a_ticket_outlives_its_generation(t, version):
    c = Certificate(t)
    d = Daemon(t, served(c))
    session = t.path('session')
    same(resumed(t, d, session, version, write=True), False)
    same(resumed(t, d, session, version), True)
    d.reload(rebase=False)
    same(resumed(t, d, session, version), True)
    replace(c, Certificate(t))
    refresh(d)
    same(resumed(t, d, session, version), True)
    os.kill(d.worker, signal.SIGKILL)
    d.wait_ready(generation=3)
    same(resumed(t, d, session, version), True)


def test_a_ticket_outlives_the_program(t):
    d = Daemon(t, served(Certificate(t)))
    session = t.path('session')
    same(resumed(t, d, session, '1.3', write=True), False)
    d.signal(signal.SIGUSR2)
    d.wait_ready(generation=2)
    same(resumed(t, d, session, '1.3'), True)


def test_without_tickets_nothing_is_resumed(t):
    d = Daemon(t, served(Certificate(t), tickets=False))
    session = t.path('session')
    same(resumed(t, d, session, '1.2', write=True), False)
    same(os.path.exists(session) and resumed(t, d, session, '1.2'), False)


# --- Certificates of clients ------------------------------------------------

def guarded(t, **changes):
    """A daemon that asks for certificates of an authority, and that one."""
    ca = Certificate(t, 'ca', ca=True)
    rules = [{'action': 'allow', 'to': ['loopback'], 'users': ['alice']}]
    d = Daemon(t, {**served(Certificate(t), client_ca=ca.path,
                            **changes.pop('tls', {})),
                   'clients': [{'action': 'allow', 'from': 'any',
                                'auth': ['certificate']}],
                   'rules': rules, **changes})
    return d, ca


def test_a_certificate_is_a_login(t):
    d, ca = guarded(t)
    o = Origin(t, echo)
    alice, bob = (Certificate(t, n, by=ca) for n in ('alice', 'bob'))
    tunnel(d, o, certificate=alice).close()
    d.wait_access(user='alice', outcome='closed', protocol='socks5')
    with wrapped(d, certificate=bob) as s:
        same(ask_socks5(s, o.target), client.DENIED)
    d.wait_access(user='bob', outcome='denied')
    with wrapped(d, certificate=alice) as s:
        s.sendall(connect_to(o))
        same(read_exact(s, 12), b'HTTP/1.1 200')
    d.wait_access(user='alice', outcome='closed', protocol='http')


def test_without_a_certificate_of_ours_nobody_passes(t):
    d, ca = guarded(t)
    stranger = Certificate(t, 'alice', by=Certificate(t, 'other', ca=True))
    for words in ({}, {'certificate': stranger}):
        try:
            with wrapped(d, version='1.2', **words) as s:
                read_to_end(s)
            raise AssertionError(f'{words} passes')
        except (ssl.SSLError, ConnectionError):
            pass
    d.wait_access(outcome='tls-failed',
                  reason='peer did not return a certificate')
    d.wait_access(outcome='tls-failed',
                  reason='certificate verify failed: '
                         'unable to get local issuer certificate')


def test_an_optional_certificate_leaves_the_password(t):
    path = readable(users(t, {'alice': 'secret'}))
    d, ca = guarded(t, tls={'verify': 'optional'},
                    auth={'users_file': path, 'failure_delay': '0'},
                    clients=[{'action': 'allow', 'from': 'any',
                              'auth': ['certificate', 'password']}])
    o = Origin(t, echo)
    alice = Certificate(t, 'alice', by=ca)
    with wrapped(d) as s:
        same(socks5_greet(s), b'\5\xff')
    with wrapped(d) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(client.socks5_login('alice', 'secret'))
        same(read_exact(s, 2), b'\1\0')
        s.sendall(socks5_request(*o.target))
        same(socks5_reply(s).code, client.SUCCEEDED)
    tunnel(d, o, certificate=alice).close()
    with wrapped(d) as s:
        s.sendall(connect_to(o))
        same(read_exact(s, 12), b'HTTP/1.1 407')


def test_a_resumed_session_is_who_began_it(t):
    d, ca = guarded(t)
    o = Origin(t, echo)
    alice = Certificate(t, 'alice', by=ca)
    c = context('1.2', certificate=alice)
    for known in (None, True):
        s = c.wrap_socket(dial(d.address), server_hostname='localhost',
                          session=known and session)
        with s:
            same(s.session_reused, bool(known))
            same(ask_socks5(s, o.target), client.SUCCEEDED)
            session = s.session
    d.wait_access(count=2, user='alice')


def test_what_is_revoked_counts_at_a_refresh(t):
    """The list of what was revoked is a file of data like the others."""
    ca = Certificate(t, 'ca', ca=True)
    alice = Certificate(t, 'alice', by=ca)
    crl = t.path('crl.pem')
    index = t.file('index.txt', '')
    t.file('crlnumber', '01\n')
    text = (f'[ca]\ndefault_ca=x\n[x]\ndatabase={index}\ndefault_md=sha256\n'
            f'crlnumber={t.path("crlnumber")}\ndefault_crl_days=2\n')
    ini = t.file('ca.conf', text)

    def issue(*words):
        openssl(t, 'ca', '-config', ini, '-cert', ca.path, '-keyfile',
                ca.key, *words)
    issue('-gencrl', '-out', crl)
    d = Daemon(t, {**served(Certificate(t), client_ca=ca.path,
                            client_crl=crl),
                   'clients': [{'action': 'allow', 'from': 'any',
                                'auth': ['certificate']}]})
    o = Origin(t, echo)
    tunnel(d, o, certificate=alice).close()
    issue('-revoke', alice.path)
    issue('-gencrl', '-out', crl)
    refresh(d)
    try:
        tunnel(d, o, version='1.2', certificate=alice).close()
        raise AssertionError('what is revoked passes')
    except (ssl.SSLError, ConnectionError):
        pass
    d.wait_access(outcome='tls-failed',
                  reason='certificate verify failed: certificate revoked')


# --- With what else listeners have ------------------------------------------

def test_a_key_of_root_takes_a_reload(t):
    """Read before rights are given up; later there is none to read it."""
    if os.geteuid() != 0:
        raise Skip('needs root')
    c = Certificate(t)
    os.chmod(c.key, 0o600)
    d = Daemon(t, served(c))
    same(shown(d), pem(c))
    d.wait_log(rf'warning {re.escape(c.key)}: cannot be read any more, now')
    other = Certificate(t)
    os.chmod(other.key, 0o600)
    before = pem(c)
    replace(c, other)
    fails(d.control.run('refresh'), 1, 'tls "edge": .*Permission denied')
    d.wait_log(r'Permission denied \(a reload reads it before it gives up')
    same(shown(d), before)
    d.reload()
    same(shown(d), pem(c))


def test_only_so_many_shake_hands_at_once(t):
    d = Daemon(t, {**served(Certificate(t)), 'workers': 1,
                   'limits': {'per_client': 0, 'tls_handshakes': 1}})
    o = Origin(t, echo)
    with dial(d.address) as slow:
        slow.sendall(b'\x16\x03\x01')
        # Until that one has arrived this is served, too.
        eventually(lambda: refused(d), said='nobody is refused')
    d.wait_access(outcome='limit')
    eventually(lambda: not refused(d), said='nobody is served any more')
    tunnel(d, o).close()


def refused(d):
    try:
        wrapped(d).close()
        return False
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_proxy_header_comes_before_tls(t):
    c = Certificate(t)
    d = Daemon(t, served(c, {'proxy_protocol': ['127.0.0.0/8']}))
    o = Origin(t, echo)
    s = dial(d.address)
    s.sendall(b'PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n')
    with context(ca=c).wrap_socket(s, server_hostname='localhost') as s:
        same(ask_socks5(s, o.target), client.SUCCEEDED)
        assert echoes(s)
    d.wait_access(client='192.0.2.7:4711', outcome='closed')
    with dial(d.address) as s:
        s.sendall(b'PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\nGET / ')
        same(read_to_end(s)[0][:12], b'HTTP/1.1 400')
    d.wait_access(client='192.0.2.7:4711', outcome='tls-failed',
                  reason='http request')


def test_a_unix_socket_may_have_tls(t):
    c = Certificate(t)
    path = t.path('proxy')
    d = Daemon(t, served(c, {'address': ['127.0.0.1:0', 'unix:' + path],
                             'mode': '0666'}))
    o = Origin(t, echo)
    for _ in range(2):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(patient(10))
        s.connect(path)
        with context(ca=c).wrap_socket(s, server_hostname='localhost') as s:
            same(ask_socks5(s, o.target), client.SUCCEEDED)
            assert echoes(s)
            same(ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).strip(),
                 pem(c))
        replace(c, Certificate(t))
        refresh(d)


@each('1.2', '1.3')
def test_much_passes_both_ways_while_certificates_change(t, version):
    """Tunnels of before do not notice; who comes is shown the new one."""
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    data = client.noise(1 << 18)
    with tunnel(d, o, version=version) as s:
        for _ in range(4):
            sent = Thread(target=s.sendall, args=(data,))
            sent.start()
            replace(c, Certificate(t))
            refresh(d)
            same(shown(d), pem(c))
            assert read_exact(s, len(data)) == data
            sent.join()
    d.assert_polled()
