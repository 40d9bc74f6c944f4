"""Logins by a password (RFC 1929): who gets in, what it costs, what is left."""
import os
import re
import signal
import time

from lib import client
from lib.case import (SANITIZED, VALGRIND, Skip, each, eventually, patient,
                      same, timeout, tool, valgrind)
from lib.client import (dial, echoes, http_ask, http_request, read_all,
                        read_exact, socks4_ask, socks5_ask, socks5_greet,
                        socks5_login, socks5_reply, socks5_request)
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port, web
from lib.users import SLOW, crypt, demand, users

ALICE = ('alice', 'secret')
BAD, GOOD = b'\1\1', b'\1\0'


def alice(t, *auth, **changes):
    """A daemon that knows Alice."""
    return Daemon(t, {**demand(users(t, dict([ALICE])), *auth), **changes})


def log_in(d, name, password, methods=b'\2'):
    """A socket on which a login was answered, and the answer."""
    s = dial(d.address)
    same(socks5_greet(s, methods), b'\5\2')
    s.sendall(socks5_login(name, password))
    return s, read_exact(s, 2)


def refused(d, name, password):
    s, answer = log_in(d, name, password)
    with s:
        same(answer, BAD)
        same(read_all(s), b'')


# --- Who gets in ------------------------------------------------------------

@valgrind
def test_a_login_lets_in(t):
    d = alice(t)
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, login=ALICE)
    with s:
        same(reply.code, client.SUCCEEDED)
        assert echoes(s)
    line = d.wait_access(protocol='socks5', outcome='closed')
    same(line['user'], 'alice')


@each(('alice', 'wrong'), ('alice', ''), ('alice', 'secret\0'),
      ('alice', 'secret\0x'), ('alice', 'secre'), ('alice', 'secrets'),
      ('eve', 'secret'), ('', ''), ('', 'secret'), ('Alice', 'secret'),
      ('alice\0', 'secret'), ('alice:', 'secret'), ('a' * 255, 'b' * 255))
def test_a_wrong_login_does_not(t, login):
    d = alice(t)
    refused(d, *login)
    line = d.wait_access(protocol='socks5', outcome='auth-failed')
    assert 'target' not in line, line
    assert 'secret' not in d.log()


@each(254, 255)
def test_names_and_passwords_may_be_long(t, length):
    login = ('ä' * (length // 2) + 'n' * (length % 2), 'p' * length)
    d = Daemon(t, demand(users(t, dict([login]))))
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, login=login)
    with s:
        same(reply.code, client.SUCCEEDED)
    refused(d, login[0], 'p' * (length - 1))
    d.wait_access(outcome='auth-failed')
    d.wait_access(outcome='closed')


def test_any_byte_may_be_in_them(t):
    name, password = bytes(range(128, 256)), bytes(range(1, 256))
    d = Daemon(t, demand(t.file('users', name + b':' +
                                crypt(password).encode() + b'\n')))
    with log_in(d, name, password)[0] as s:
        s.sendall(socks5_request('127.0.0.1', unused_port()))
        same(socks5_reply(s).code, client.REFUSED)
    d.wait_access(outcome='refused')


@each('$y$j9T$salt$', '$gy$j9T$salt$', '$7$CU..../....salt$',
      '$2b$05$abcdefghijklmnopqrstuu', '$2y$05$abcdefghijklmnopqrstuu',
      '$6$salt$', '$5$salt$', '$1$salt$')
def test_each_kind_of_hash_will_do(t, setting):
    d = Daemon(t, demand(users(t, dict([ALICE]), setting)))
    s, answer = log_in(d, *ALICE)
    with s:
        same(answer, GOOD)
    refused(d, 'alice', 'wrong')
    refused(d, 'eve', 'secret')


def test_takes_what_openssl_writes(t):
    openssl = tool('openssl', 'openssl')
    lines = ''
    for name, kind in (('five', '-5'), ('six', '-6'), ('one', '-1')):
        done = t.run(openssl, 'passwd', kind, 'secret')
        lines += f'{name}:{done.stdout.decode()}'
    d = Daemon(t, demand(t.file('users', lines)))
    for name in ('five', 'six', 'one'):
        s, answer = log_in(d, name, 'secret')
        with s:
            same(answer, GOOD)
        refused(d, name, 'Secret')


# --- The choice of a method -------------------------------------------------

@each(b'', b'\0', b'\1', b'\0\1\3\x80\xfe')
def test_whoever_cannot_log_in_is_told(t, methods):
    d = alice(t)
    with dial(d.address) as s:
        same(socks5_greet(s, methods), b'\5\xff')
        same(read_all(s), b'')
    d.wait_access(outcome='auth-required')


def test_the_first_method_of_a_client_rule_that_is_offered_counts(t):
    d = alice(t, 'none', 'password')
    for methods, choice in ((b'\0\2', 0), (b'\2\0', 0), (b'\2', 2),
                            (b'\0', 0), (b'\1', 0xff)):
        with dial(d.address) as s:
            same(socks5_greet(s, methods), bytes([5, choice]))
    d = alice(t, 'password', 'none')
    for methods, choice in ((b'\0\2', 2), (b'\2\0', 2), (b'\0', 0)):
        with dial(d.address) as s:
            same(socks5_greet(s, methods), bytes([5, choice]))


def test_whoever_can_log_in_is_asked_where_none_need(t):
    d = alice(t, 'password', 'none')
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        assert echoes(s)
    assert 'user' not in d.wait_access(outcome='closed')
    s, reply = socks5_ask(d.address, o.target, login=ALICE)
    with s:
        assert echoes(s)
    d.wait_access(outcome='closed', user='alice')
    refused(d, 'alice', 'wrong')


def test_a_method_counts_only_if_some_rule_could_allow_with_it(t):
    file = users(t, dict([ALICE]))
    changes = demand(file, 'none', 'password')
    to = ['any', 'loopback']

    def choices(rules):
        d = Daemon(t, {**changes, 'rules': rules})
        found = []
        for methods in (b'\0\2', b'\0', b'\2'):
            with dial(d.address) as s:
                found.append(socks5_greet(s, methods)[1])
        return d, found

    # Only who logs in may do anything.
    d, found = choices([{'action': 'allow', 'to': to, 'users': ['alice']}])
    same(found, [2, 0xff, 2])
    d.wait_access(outcome='auth-required')
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, login=ALICE)
    with s:
        same(reply.code, client.SUCCEEDED)
    same(d.wait_access(outcome='closed')['user'], 'alice')
    # Either way nothing is allowed: the rule has the last word.
    d, found = choices([{'action': 'deny', 'name': 'all'}])
    same(found, [0, 0, 2])
    with dial(d.address) as s:
        same(socks5_greet(s, b'\0'), b'\5\0')
        s.sendall(socks5_request('127.0.0.1', 1))
        same(socks5_reply(s).code, client.DENIED)
    d.wait_access(outcome='denied', rule='all')


def test_rules_tell_users_and_groups_apart(t):
    file = users(t, {'alice': 'a', 'bob': 'b', 'carol': 'c'})
    groups = t.file('groups', 'staff:x:50:bob,dave\n', 0o644)
    d = Daemon(t, {
        **demand(file, 'password', groups_file=groups),
        'rules': [{'action': 'allow', 'to': '127.0.0.0/8', 'users': ['alice']},
                  {'action': 'allow', 'to': '127.0.0.0/8',
                   'groups': ['staff']}]})
    o = Origin(t, echo)
    for login, code in ((('alice', 'a'), 0), (('bob', 'b'), 0),
                        (('carol', 'c'), client.DENIED)):
        for _ in range(2):  # verified, then remembered
            s, reply = socks5_ask(d.address, o.target, login=login)
            s.close()
            same((login[0], reply.code), (login[0], code))


def test_nobody_is_asked_where_nobody_may_log_in(t):
    d = alice(t, 'none')
    o = Origin(t, echo)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2\0'), b'\5\0')
        s.sendall(socks5_request(*o.target))
        same(socks5_reply(s).code, client.SUCCEEDED)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\xff')
        same(read_all(s), b'')
    d.wait_access(outcome='no-method')


def test_each_entry_of_clients_has_its_own(t):
    file = users(t, dict([ALICE]))
    d = Daemon(t, {'auth': {'users_file': file}, 'clients': [
        {'action': 'allow', 'from': '127.0.0.0/8', 'auth': ['password']},
        {'action': 'allow', 'from': 'any'}]})
    with dial(d.at('::1')) as s:
        same(socks5_greet(s, b'\0\2'), b'\5\0')
    with dial(d.at('127.0.0.1')) as s:
        same(socks5_greet(s, b'\0\2'), b'\5\2')


def test_socks4_and_http_do_not_pass_by(t):
    d = alice(t)
    o = Origin(t, echo)
    s, reply = socks4_ask(d.address, o.target, userid=b'alice')
    with s:
        same(reply.code, client.WRONG_USER)
        same(read_all(s), b'')
    d.wait_access(protocol='socks4', outcome='auth-required')
    s, reply = http_ask(d.address, http_request(f'127.0.0.1:{o.port}'))
    with s:
        same(reply.status, 407)
    d.wait_access(protocol='http', outcome='auth-required')
    same(o.accepted, 0)


# --- How it arrives ---------------------------------------------------------

def whole_of(target, login=ALICE):
    """All that a client may send without waiting."""
    return b'\5\2\0\2' + socks5_login(*login) + socks5_request(*target)


@valgrind
@each(ALICE, ('n' * 255, 'p' * 255))
def test_a_login_may_be_split_at_any_byte(t, login):
    d = Daemon(t, demand(users(t, dict([login]))))
    o = Origin(t, echo)
    whole = whole_of(o.target, login) + b'first words'
    open_ = []
    step = 1 if login == ALICE else 41
    for at in range(1, len(whole), step):
        s = dial(d.address)
        s.sendall(whole[:at])
        open_.append((at, s))
    for _, s in open_:
        client.delivered(s)
    time.sleep(0.1)
    for at, s in open_:
        s.sendall(whole[at:])
    for at, s in open_:
        with s:
            assert read_exact(s, 4) == b'\5\2' + GOOD, at
            assert socks5_reply(s).code == client.SUCCEEDED, at
            assert read_exact(s, 11) == b'first words', at


def test_all_at_once_with_early_data_is_understood(t):
    d = alice(t)
    o = Origin(t, echo)
    early = client.noise(30000)
    with dial(d.address) as s:
        s.sendall(whole_of(o.target) + early)
        same(read_exact(s, 4), b'\5\2' + GOOD)
        same(socks5_reply(s).code, client.SUCCEEDED)
        same(read_exact(s, len(early)), early)
        assert echoes(s)


@each('wrong', 'none', 'version')
def test_a_refusal_survives_data_that_nobody_reads(t, kind):
    d = alice(t)
    whole, answer = {
        'wrong': (whole_of(('127.0.0.1', 1), ('alice', 'x')), b'\5\2' + BAD),
        'none': (b'\5\1\0' + socks5_request('127.0.0.1', 1), b'\5\xff'),
        'version': (b'\5\1\2\5' + bytes(100), b'\5\2' + BAD),
    }[kind]
    for _ in range(20):
        with dial(d.address) as s:
            s.sendall(whole)
            s.setblocking(False)
            try:
                s.send(bytes(200000))
            except OSError:
                pass
            time.sleep(0.02)
            s.settimeout(patient(10))
            same(read_exact(s, len(answer)), answer)
            same(client.read_to_end(s)[0], b'')


def test_another_version_of_the_login_is_refused(t):
    d = alice(t)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(b'\5' + socks5_login(*ALICE)[1:])
        same(read_exact(s, 2), BAD)
        same(read_all(s), b'')
    d.wait_access(outcome='bad-request')


def test_a_client_that_leaves_in_its_login_is_noted(t):
    d = alice(t)
    for start in (b'\5\1\2', b'\5\1\2\1', b'\5\1\2\1\5alice\6sec'):
        with dial(d.address) as s:
            s.sendall(start)
            read_exact(s, 2)
    d.wait_access(3, outcome='client-left')


def test_a_client_that_takes_too_long_to_log_in_is_closed(t):
    d = alice(t, timeouts={'handshake': '1s', 'shutdown': '5s'})
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login(*ALICE)[:-1])
        same(read_all(s), b'')
    d.wait_access(outcome='handshake-timeout')


# --- What it costs ----------------------------------------------------------

def test_a_wrong_name_costs_as_much_as_a_wrong_password(t):
    d = Daemon(t, demand(users(t, dict([ALICE]), SLOW)))

    def cost(name):
        before = d.cpu()
        for _ in range(3):
            refused(d, name, 'wrong')
        return d.cpu() - before

    known, unknown = cost('alice'), cost('nobody')
    assert known / 2 < unknown < known * 2, (known, unknown)


def verifier(d):
    """The fields of the verifying thread's stat(5) from the third on."""
    for tid in os.listdir(f'/proc/{d.worker}/task'):
        with open(f'/proc/{d.worker}/task/{tid}/stat', encoding='ascii') as f:
            text = f.read()
        if text.split('(')[1].startswith('auth/'):
            return text.rpartition(')')[2].split()
    return None


def test_others_go_on_meanwhile(t):
    d = Daemon(t, {**demand(users(t, dict([ALICE]), SLOW), 'password',
                            'none'), 'workers': 1})
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as other:
        waiting = []
        for _ in range(3):
            s = dial(d.address)
            s.sendall(whole_of(o.target))
            same(read_exact(s, 2), b'\5\2')
            waiting.append(s)
        # Confined as it is, it has made itself the last of all.
        same(eventually(lambda: verifier(d))[16],
             str(min(os.nice(0) + 10, 19)))
        assert echoes(other)
        last = waiting[-1]
        last.setblocking(False)
        try:
            same(last.recv(2), None)
        except BlockingIOError:
            pass
        for s in waiting:
            with s:
                s.settimeout(patient(20))
                same(read_exact(s, 2), GOOD)


def test_a_client_that_leaves_gives_its_place_to_others(t):
    d = Daemon(t, {**demand(users(t, dict([ALICE]), SLOW)), 'workers': 1})
    waiting = []
    for _ in range(40):
        s = dial(d.address)
        s.sendall(whole_of(('127.0.0.1', 1)))
        same(read_exact(s, 2), b'\5\2')
        waiting.append(s)
    for s in waiting:
        client.reset(s)
    d.wait_access(39, outcome='client-left')
    start = time.monotonic()
    with log_in(d, *ALICE)[0]:
        assert time.monotonic() - start < patient(4)
    d.wait_rest()


QUEUE = 256  # AUTH_QUEUE of daemon/proxy/auth.h


@timeout(60)
def test_more_than_can_wait_are_told(t):
    d = Daemon(t, {**demand(users(t, dict([ALICE]), SLOW), 'password',
                            'none'), 'workers': 1,
                   'limits': {'handshakes': 1000},
                   'timeouts': {'shutdown': '1s'}})
    o = Origin(t, echo)
    waiting = []
    for i in range(QUEUE + 40):
        # Of one client there may not be so many.
        s = dial(d.address, source=f'127.0.0.{1 + i % 16}')
        s.sendall(whole_of(o.target))
        waiting.append(s)
    d.wait_access(20, outcome='limit')
    told = 0
    for s in waiting:
        same(read_exact(s, 2), b'\5\2')
        s.setblocking(False)
        try:
            told += s.recv(2) == BAD
        except BlockingIOError:
            pass
    assert 20 <= told <= 40, told
    # Whoever need not log in is served; an end in order waits for none.
    with client.tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.signal(signal.SIGTERM)
    d.wait_exit(seconds=10)
    d.wait_access(QUEUE, outcome='shutdown')
    for s in waiting:
        s.close()


# --- What is left -----------------------------------------------------------

def pages(fd, start, end):
    """The bytes there; guards of stacks have none."""
    step = 1 << 20 if end - start > 4096 else 4096
    for at in range(start, end, step):
        last = min(at + step, end)
        try:
            got = os.pread(fd, last - at, at)
        except OSError:
            got = b''
        if len(got) < last - at and step > 4096:
            for page in range(at, last, 4096):
                yield from pages(fd, page, page + 4096)
        else:
            yield got


def memory_holds(pid, text):
    """Whether any writable memory of a process holds these bytes."""
    with open(f'/proc/{pid}/maps', encoding='ascii') as maps:
        ranges = re.findall(r'^([0-9a-f]+)-([0-9a-f]+) rw', maps.read(),
                            re.M)
    fd = os.open(f'/proc/{pid}/mem', os.O_RDONLY)
    try:
        return any(text in b''.join(pages(fd, int(a, 16), int(b, 16)))
                   for a, b in ranges)
    finally:
        os.close(fd)


def test_no_password_is_left_in_memory(t):
    if SANITIZED or VALGRIND or os.geteuid():
        raise Skip('only in a plain build, and by root')
    secret = 'correct-horse-battery-staple'
    d = Daemon(t, demand(users(t, {'alice': secret})))
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, login=('alice', secret))
    with s:
        same(reply.code, client.SUCCEEDED)
        assert not memory_holds(d.worker, secret.encode())
        refused(d, 'alice', secret + '2')
        refused(d, 'eve', secret)
        # One that comes with all else at once lies further behind at first.
        with dial(d.address) as whole:
            whole.sendall(b'\5\xff' + b'\2' * 255 +
                          socks5_login('alice', secret) +
                          socks5_request(*o.target))
            same(read_exact(whole, 4), b'\5\2' + GOOD)
            same(socks5_reply(whole).code, client.SUCCEEDED)
            assert not memory_holds(d.worker, secret[-12:].encode())
        # One that is on its way.
        with dial(d.address) as half:
            half.sendall(b'\5\1\2' + socks5_login('alice', secret)[:-2])
            read_exact(half, 2)
            # The search can find one.
            eventually(lambda: memory_holds(d.worker, secret[:-2].encode()))
        d.wait_access(outcome='client-left')
        assert not memory_holds(d.worker, secret[:-2].encode())
    assert secret not in d.log()


def test_a_reload_reads_the_users_anew(t):
    d = alice(t)
    with log_in(d, *ALICE)[0] as old:
        users(t, {'bob': 'builder'})
        d.reload()
        refused(d, *ALICE)
        s, answer = log_in(d, 'bob', 'builder')
        with s:
            same(answer, GOOD)
        # Who had logged in goes on.
        old.sendall(socks5_request('127.0.0.1', unused_port()))
        same(socks5_reply(old).code, client.REFUSED)


def test_a_reload_with_a_wrong_file_changes_nothing(t):
    d = alice(t)
    t.file('users', 'alice:secret\n')
    d.reload(fails=r'users:1: ')
    s, answer = log_in(d, *ALICE)
    with s:
        same(answer, GOOD)


# --- Real clients -----------------------------------------------------------

@each('socks5', 'socks5h')
def test_curl_logs_in(t, scheme):
    d = Daemon(t, demand(users(t, {'alice': 'p@ss:w/rd', 'empty': ''})))
    o = Origin(t, web(b'a page'))
    command = [tool('curl', 'curl'), '-sS', '--max-time', '10',
               f'http://127.0.0.1:{o.port}/', '-x',
               f'{scheme}://{d.address[0]}:{d.address[1]}']
    for login in ('alice:p@ss:w/rd', 'empty:'):
        done = t.run(*command, '-U', login)
        same((done.returncode, done.stdout), (0, b'a page'))
        d.wait_access(outcome='closed', user=login.split(':')[0])
    for login in ('alice:wrong', 'eve:p@ss:w/rd', None):
        done = t.run(*command, *(['-U', login] if login else []))
        same((done.returncode, done.stdout), (97, b''))
    d.wait_access(2, outcome='auth-failed')
    d.wait_access(outcome='auth-required')


def test_pysocks_logs_in(t):
    try:
        import socks
    except ImportError:
        raise Skip('apt-get install python3-socks') from None
    d = alice(t)
    o = Origin(t, echo)
    for login in (ALICE, ('alice', 'x'), (None, None)):
        with socks.socksocket() as s:
            s.settimeout(patient(10))
            s.set_proxy(socks.SOCKS5, *d.address, username=login[0],
                        password=login[1])
            try:
                s.connect(o.target)
            except socks.ProxyError as e:
                assert login != ALICE and 'authentication' in str(e), e
            else:
                assert login == ALICE and echoes(s)
