"""TLS as other programs see it: openssl's and Python's clients, curl.

What is spoken to is t/helper/tlsbeside.c, a server on the library.
"""
import os
import re
import socket
import ssl
import time

from lib.case import each, eventually, fewer, patient, same, timeout, tool
from lib.client import dial, noise, read_to_end, reset
from lib.tls import (Beside, Certificate, Memory, SClient, body, connect,
                     get, info, openssl, raw, take_answer)

VERSIONS = {'1.2': 0x0303, '1.3': 0x0304}
versions = each(*VERSIONS)


def flag(version):
    return '-tls' + version.replace('.', '_')


def serves(server):
    """And is none the worse for what happened."""
    with connect(server.tls) as s:
        same(get(s, '10'), body(10))


# --- versions, ciphers, certificates ----------------------------------------

@versions
def test_openssl_is_served(t, version):
    server = Beside(t)
    c = SClient(t, server.tls, flag(version), '-CAfile',
                server.certificate.path, '-verify_return_error')
    told = c.info()
    same((told['version'], told['server_name'], told['resumed']),
         (VERSIONS[version], 'localhost', 0))
    c.expect('', 0)
    same(c.end(), 0)
    server.wait_idle()


@versions
def test_curl_is_served(t, version):
    server = Beside(t)
    port = server.tls[1]
    done = t.run(tool('curl', 'curl'), '-sSv', '--cacert',
                 server.certificate.path, '--tlsv' + version, '--tls-max',
                 version, f'https://localhost:{port}/100000',
                 f'https://localhost:{port}/info', '--noproxy', '*')
    same(done.returncode, 0)
    same(done.stdout[:100000], body(100000))
    assert b'Re-using existing connection' in done.stderr, done.stderr


@each('-tls1', '-tls1_1')
def test_old_versions_are_refused(t, old):
    server = Beside(t)
    c = SClient(t, server.tls, old, '-cipher', 'ALL@SECLEVEL=0')
    c.expect('alert protocol version')
    server.failed('EPROTO: unsupported protocol')
    serves(server)


def test_a_floor_of_1_3_refuses_1_2(t):
    server = Beside(t, '--only-1.3')
    SClient(t, server.tls, '-tls1_2').expect('alert protocol version')
    serves(server)


def test_the_ciphers_are_those_that_were_set(t):
    server = Beside(t, '--ciphers', 'ECDHE-ECDSA-CHACHA20-POLY1305',
                    '--ciphersuites', 'TLS_AES_128_GCM_SHA256')
    with connect(server.tls, '1.2') as s:
        same(info(s)['cipher'], 'ECDHE-ECDSA-CHACHA20-POLY1305')
    with connect(server.tls, '1.3') as s:
        same(info(s)['cipher'], 'TLS_AES_128_GCM_SHA256')
    SClient(t, server.tls, '-tls1_2', '-cipher',
            'ECDHE-ECDSA-AES128-GCM-SHA256').expect('alert handshake failure')
    server.failed('EPROTO: no shared cipher')


@versions
def test_a_client_gets_the_kind_of_key_that_it_knows(t, version):
    ec, rsa = Certificate(t), Certificate(t, kind='rsa')
    server = Beside(t, '--cert', f'{ec.files},{rsa.files}', certificate=ec)
    for kind, word in (('RSA-PSS+SHA256', 'RSA'), ('ECDSA+SHA256', 'EC')):
        c = SClient(t, server.tls, flag(version), '-sigalgs', kind)
        c.expect(rf'a:PKEY: {"rsa" if word == "RSA" else "id-ec"}')
        assert c.info()['version'] == VERSIONS[version]


def test_a_name_chooses_the_certificate(t):
    one, two = Certificate(t, 'one.test'), Certificate(t, 'two.test')
    server = Beside(t, '--cert', f'{one.files},{two.files}', '--strict',
                    certificate=one)
    for c in (one, two):
        with connect(server.tls, name=c.name, ca=c) as s:
            same(info(s)['server_name'], c.name)
    for name in ('three.test', None):  # asks for another, for none
        try:
            connect(server.tls, name=name).close()
            raise AssertionError(f'{name} is served')
        except ssl.SSLError as e:
            same(e.reason, 'TLSV1_UNRECOGNIZED_NAME')
    server.failed('EPROTO')


@versions
def test_protocols_are_agreed_on(t, version):
    server = Beside(t, '--alpn', 'h2,http/1.1')
    with connect(server.tls, version, alpn=['http/1.1', 'h2']) as s:
        same((s.selected_alpn_protocol(), info(s)['alpn']), ('h2', 'h2'))
    with connect(server.tls, version) as s:
        same(info(s)['alpn'], '')
    SClient(t, server.tls, flag(version), '-alpn', 'imap').expect(
        'alert no application protocol')
    serves(server)


# --- certificates of clients ------------------------------------------------

@versions
def test_a_clients_certificate_is_demanded(t, version):
    ca = Certificate(t, 'ca', ca=True)
    user, stranger = Certificate(t, 'alice', by=ca), Certificate(t, 'eve')
    server = Beside(t, '--ca', ca.path, '--require')
    with connect(server.tls, version, certificate=user) as s:
        same(info(s)['peer_name'], 'alice')
    for c, why in ((None, 'peer did not return a certificate'),
                   (stranger, 'certificate verify failed')):
        try:
            with connect(server.tls, version, certificate=c) as s:
                get(s, '1')
            raise AssertionError('served')
        except (ssl.SSLError, OSError, EOFError):
            pass
        server.failed('EPROTO: ' + why)


@versions
def test_a_clients_certificate_may_be_left_out(t, version):
    ca = Certificate(t, 'ca', ca=True)
    user = Certificate(t, 'alice', by=ca)
    server = Beside(t, '--ca', ca.path, '--request')
    for c, name in ((user, 'alice'), (None, '')):
        with connect(server.tls, version, certificate=c) as s:
            same(info(s)['peer_name'], name)


def test_a_refusal_by_the_client_is_told(t):
    server = Beside(t)
    SClient(t, server.tls, '-CAfile', Certificate(t).path,
            '-verify_return_error').expect('verify failed')
    server.failed('EPROTO: .*alert (unknown ca|bad certificate|'
                  'certificate unknown)')


# --- sessions, new keys -----------------------------------------------------

@versions
def test_a_session_is_resumed(t, version):
    server = Beside(t)
    file = t.path('session')
    c = SClient(t, server.tls, flag(version), '-sess_out', file)
    same(c.info()['resumed'], 0)
    same(c.end(), 0)
    c = SClient(t, server.tls, flag(version), '-sess_in', file)
    c.expect('Reused, TLSv' + version)
    same(c.info()['resumed'], 1)


@versions
def test_without_tickets_nothing_is_resumed(t, version):
    server = Beside(t, '--no-tickets')
    file = t.path('session')
    c = SClient(t, server.tls, flag(version), '-sess_out', file)
    same(c.info()['resumed'], 0)
    same(c.end(), 0)
    if os.path.exists(file):
        c = SClient(t, server.tls, flag(version), '-sess_in', file)
        same(c.info()['resumed'], 0)


def test_a_renegotiation_is_refused(t):
    server = Beside(t)
    c = SClient(t, server.tls, '-tls1_2')
    c.info()
    c.send('R\n')
    c.expect('RENEGOTIATING')
    c.expect('no renegotiation')
    server.wait_idle()
    serves(server)


def test_keys_are_renewed_in_mid_stream(t):
    server = Beside(t)
    c = SClient(t, server.tls, '-tls1_3')
    for i in range(fewer(20)):
        c.send('kK'[i % 2] + '\n')
        c.expect('KEYUPDATE')
        length = 30000 + i
        same(c.get(str(length)), body(length).decode('latin-1'))
    same(c.end(), 0)


# --- bytes and ends ---------------------------------------------------------

@versions
@timeout(60)
def test_big_bodies_arrive(t, version):
    n = fewer(50 << 20)
    text = noise(10 << 20)
    server = Beside(t, '--file', t.file('big', text))
    with connect(server.tls, version) as s:
        assert get(s, str(n)) == body(n)
        assert get(s, 'file') == text
        same(get(s, '0'), b'')
        same(get(s, '16384'), body(16384))


@versions
def test_a_client_may_end_before_the_answer(t, version):
    server = Beside(t)
    n = 3 << 20
    with Memory(server.tls, version) as s:
        s.handshake()
        s.send(b'POST / HTTP/1.1\r\n\r\n')
        s.send(noise(n))
        s.say_end()
        same(take_answer(s), b'%d\n' % n)
        same(s.recv(1), b'')
    server.wait_idle()


@versions
def test_an_end_without_close_notify_is_an_attack(t, version):
    server = Beside(t)
    with connect(server.tls, version) as s:
        s.sendall(b'POST / HTTP/1.1\r\n\r\n' + noise(5000))
        socket.socket.shutdown(s, socket.SHUT_WR)
        got, _ = read_to_end(raw(s))
        assert b'200' not in got
    server.failed('ECONNRESET')


@versions
def test_or_the_end_where_that_is_allowed(t, version):
    server = Beside(t, '--truncation')
    with Memory(server.tls, version) as s:
        s.handshake()
        s.send(b'POST / HTTP/1.1\r\n\r\n' + noise(5000))
        s.socket.shutdown(socket.SHUT_WR)
        same(take_answer(s), b'5000\n')


@versions
def test_the_servers_end_is_one_in_order(t, version):
    server = Beside(t)
    with connect(server.tls, version) as s:
        same(get(s, '100'), body(100))
        s.sendall(b'nonsense\r\n\r\n')
        same(s.recv(1), b'')


@versions
def test_clients_that_go_away_leave_nothing(t, version):
    server = Beside(t)
    for i in range(fewer(40)):
        s = connect(server.tls, version)
        if i % 2:
            s.sendall(b'GET /9999999 HTTP/1.1\r\n\r\n')
        if i % 4 < 2:
            reset(s)
        else:
            s.close()
    server.wait_idle()
    serves(server)


# --- bad hellos -------------------------------------------------------------

NONSENSE = {
    'zeros': bytes(300),
    'noise': b'\x80' + noise(299),
    'http': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'huge': b'\x16\x03\x01\xff\xff' + noise(300),
    'empty': b'\x16\x03\x01\x00\x00' * 60,
    'no hello': b'\x16\x03\x01\x00\x04\x02\x00\x00\x00',
    'ssl2': b'\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10' + bytes(37),
    'alert': b'\x15\x03\x01\x00\x02\x02\x28',
    'data': b'\x17\x03\x03\x00\x05hello',
}


@each(*NONSENSE)
def test_nonsense_is_refused(t, name):
    server = Beside(t)
    with dial(server.tls) as s:
        s.sendall(NONSENSE[name])
        s.shutdown(socket.SHUT_WR)
        got, _ = read_to_end(s)
        assert len(got) <= 7, got  # an alert at most
    eventually(lambda: server.stats()['unhandled'] == 1)
    server.wait_idle()
    serves(server)


def test_nonsense_that_does_not_end_is_refused_too(t):
    server = Beside(t)
    with dial(server.tls) as s:
        s.sendall(NONSENSE['http'])
        read_to_end(s)
    server.failed('EPROTO: http request')


@versions
def test_a_hello_may_come_byte_by_byte(t, version):
    server = Beside(t)
    with Memory(server.tls, version) as s:
        for byte in s.hello():
            s.socket.sendall(bytes([byte]))
            time.sleep(0.0005)
        s.handshake()
        s.send(b'GET /info HTTP/1.1\r\n\r\n')
        assert take_answer(s)


def test_a_hello_may_come_in_small_records(t):
    server = Beside(t)
    with Memory(server.tls) as s:
        hello = s.hello()
        message = hello[5:]
        s.socket.sendall(b''.join(hello[:3] + b'\0\1' + bytes([b])
                                  for b in message))
        data = s.socket.recv(65536)
        same(data[:3], b'\x16\x03\x03')  # a ServerHello


@each(0, 1, 6, 100, 1000)
def test_a_handshake_has_its_time(t, sent):
    server = Beside(t, '--handshake-ms', '300')
    with Memory(server.tls) as s:
        start = time.monotonic()
        s.socket.sendall(s.hello()[:sent])
        read_to_end(s.socket)
        spent = time.monotonic() - start
        assert 0.05 < spent < patient(5), spent
    server.failed('ETIMEDOUT')
    server.wait_idle()


def test_drops_do_not_prolong_it(t):
    server = Beside(t, '--handshake-ms', '400')
    with Memory(server.tls) as s:
        start = time.monotonic()
        s.socket.settimeout(0.02)
        ended = False
        for byte in s.hello()[:-1]:
            try:
                s.socket.sendall(bytes([byte]))
                ended = not s.socket.recv(1)
            except socket.timeout:
                continue
            except OSError:
                ended = True
            if ended:
                break
        spent = time.monotonic() - start
        assert ended and 0.1 < spent < patient(5), spent


# --- in mid-stream ----------------------------------------------------------

@versions
def test_a_connection_becomes_tls_after_a_word(t, version):
    server = Beside(t)
    c = SClient(t, server.upgrade, flag(version), '-starttls', 'ftp')
    same(c.info()['version'], VERSIONS[version])


def test_what_comes_before_its_time_is_not_believed(t):
    server = Beside(t)
    with dial(server.upgrade) as s:
        assert s.recv(100).startswith(b'220')
        s.sendall(b'AUTH TLS\r\n')
        assert s.recv(100).startswith(b'234')
        s.sendall(b'GET /info HTTP/1.1\r\n\r\n')
        got, _ = read_to_end(s)
        assert b'200' not in got
    server.failed('EPROTO')


def test_new_connections_get_the_new_certificate(t):
    old, new = Certificate(t), Certificate(t)
    server = Beside(t, certificate=old)
    with connect(server.tls, ca=old) as before:
        server.reload(new)
        with connect(server.tls, ca=new) as after:
            same(get(after, '10'), body(10))
        same(get(before, '10'), body(10))


def test_a_response_is_stapled(t):
    ca = Certificate(t, 'ca', ca=True)
    leaf = Certificate(t, by=ca)
    serial = openssl(t, 'x509', '-in', leaf.path, '-noout',
                     '-serial').split('=')[1].strip()
    response, index = t.path('ocsp.der'), t.file(
        'index.txt', f'V\t491231235959Z\t\t{serial}\tunknown\t/CN=x\n')
    openssl(t, 'ocsp', '-index', index, '-CA', ca.path, '-rsigner', ca.path,
            '-rkey', ca.key, '-issuer', ca.path, '-cert', leaf.path,
            '-respout', response, '-ndays', '1', '-noverify')
    server = Beside(t, '--cert', f'{leaf.files}:{response}',
                    certificate=leaf)
    c = SClient(t, server.tls, '-status')
    c.expect('OCSP Response Status: successful')
    assert not re.search('no response sent', c.text)
