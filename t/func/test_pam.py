"""Logins by PAM and by shadow(5), through the real spliced-pam and modules."""
import os
import socket
import time

from lib import client, proc
from lib.box import Service, unit_text
from lib.case import Skip, each, eventually, patient, same
from lib.client import (dial, echoes, read_all, read_exact, socks5_ask,
                        socks5_greet, socks5_login)
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.pam import Helper
from lib.users import crypt, users

UNIX = 'auth required pam_unix.so\naccount required pam_unix.so\n'
BAD, GOOD = b'\1\1', b'\1\0'
DAY = 86400


def accounts(*rows):
    """The files of accounts of rows (name, password field, further fields)."""
    passwd = 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n'
    shadow = 'root:*:19000::::::\n'
    for number, (name, field, *more) in enumerate(rows, 2000):
        passwd += f'{name}:x:{number}:{number}::/:/bin/sh\n'
        shadow += f'{name}:{field}:{more[0] if more else "19000::::::"}\n'
    return {'passwd': passwd, 'shadow': shadow}


def proxy(t, *kinds, path=None, **options):
    auth = {'helper': path or t.path('pam'), 'failure_delay': '0',
            'lock_after': 0, **options}
    return Daemon(t, {'auth': auth, 'clients': [
        {'action': 'allow', 'from': 'any', 'auth': list(kinds)}]})


def verdict(d, name, password):
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login(name, password))
        return read_exact(s, 2)


# --- By what ----------------------------------------------------------------

def test_pam_unix(t):
    Helper(t, {'spliced': UNIX}, accounts(
        ('alice', crypt('secret')), ('locked', '!' + crypt('secret')),
        ('old', crypt('secret'), '19000:::::19001:'),
        ('must', crypt('secret'), '0::::::'), ('empty', ''))).start()
    d = proxy(t, 'pam')
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, login=('alice', 'secret'))
    with s:
        same(reply.code, client.SUCCEEDED)
        assert echoes(s)
    same(d.wait_access(outcome='closed')['user'], 'alice')
    for login in (('alice', 'wrong'), ('alice', ''), ('alice', 'secret\0'),
                  ('locked', 'secret'), ('old', 'secret'), ('must', 'secret'),
                  ('empty', ''), ('eve', 'secret'), ('', ''), ('a' * 255, 'b')):
        same(verdict(d, *login), BAD)
    d.wait_access(10, outcome='auth-failed')


def test_pam_pwdfile(t):
    if not os.path.exists('/lib/x86_64-linux-gnu/security/pam_pwdfile.so') \
            and not os.path.exists('/lib/security/pam_pwdfile.so'):
        raise Skip('apt-get install libpam-pwdfile')
    file = users(t, {'alice': 'secret'}, '$1$salt$', name='pwdfile')
    Helper(t, {'proxy': f'auth required pam_pwdfile.so pwdfile={file}\n'
               'account required pam_permit.so\n'}).start()
    d = proxy(t, 'pam', pam_service='proxy')
    same(verdict(d, 'alice', 'secret'), GOOD)
    same(verdict(d, 'alice', 'Secret'), BAD)
    same(verdict(d, 'eve', 'secret'), BAD)
    d.wait_access(2, outcome='auth-failed')


def test_accounts_count_in_pam(t):
    Helper(t, {'spliced': 'auth required pam_permit.so\n'
               'account required pam_succeed_if.so user = alice quiet\n'},
           accounts(('alice', '*'), ('bob', '*'))).start()
    d = proxy(t, 'pam')
    same(verdict(d, 'alice', 'x'), GOOD)
    same(verdict(d, 'bob', 'x'), BAD)
    d.wait_access(outcome='auth-failed')


def test_pam_is_told_where_the_client_is(t):
    # The first argument of a rule of access.conf is who, then from where.
    access = t.file('access.conf', '+:alice:127.0.0.1\n-:ALL:ALL\n')
    Helper(t, {'spliced': 'auth required pam_permit.so\naccount required '
               f'pam_access.so nodefgroup accessfile={access}\n'},
           accounts(('alice', '*'))).start()
    d = proxy(t, 'pam')
    for _ in range(2):  # remembered the second time
        same(verdict(d, 'alice', 'x'), GOOD)
    # But for that client only.
    with dial(d.at('::1')) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login('alice', 'x'))
        same(read_exact(s, 2), BAD)


def test_shadow(t):
    today = int(time.time()) // DAY
    good = crypt('secret')
    Helper(t, {}, accounts(
        ('alice', good), ('locked', '!' + good), ('star', '*'), ('empty', ''),
        ('expired', good, f'19000:::::{today}:'),
        ('tomorrow', good, f'19000:::::{today + 2}:'),
        ('must', good, '0::::::'), ('aged', good, '19000:0:30:7:::'),
        ('fresh', good, f'{today}:0:30:7:::'))).start()
    d = proxy(t, 'system')
    for name in ('alice', 'tomorrow', 'fresh'):
        same((name, verdict(d, name, 'secret')), (name, GOOD))
        same((name, verdict(d, name, 'wrong')), (name, BAD))
    for name in ('locked', 'expired', 'must', 'aged', 'eve'):
        same((name, verdict(d, name, 'secret')), (name, BAD))
    for name in ('star', 'empty'):
        for password in ('', '*'):
            same((name, verdict(d, name, password)), (name, BAD))


def test_each_kind_has_its_turn(t):
    Helper(t, {'spliced': UNIX}, accounts(('bob', crypt('builder')))).start()
    file = users(t, {'alice': 'secret', 'bob': 'other'})
    d = proxy(t, 'password', 'pam', users_file=file)
    for login in (('alice', 'secret'), ('bob', 'other'), ('bob', 'builder')):
        for _ in range(2):  # remembered the second time
            same(verdict(d, *login), GOOD)
    same(verdict(d, 'alice', 'builder'), BAD)


# --- Where it does not work -------------------------------------------------

def test_nobody_gets_in_without_the_helper(t):
    d = proxy(t, 'pam')
    same(verdict(d, 'alice', 'secret'), BAD)
    line = d.wait_access(outcome='no-resources')
    same(line['error'], 'ENOENT')
    # As soon as there is one he does.
    Helper(t, {'spliced': UNIX}, accounts(('alice', crypt('secret')))).start()
    same(verdict(d, 'alice', 'secret'), GOOD)


def test_a_service_needs_its_file(t):
    h = Helper(t, {'other': 'auth required pam_permit.so\n'
                   'account required pam_permit.so\n'}).start()
    d = proxy(t, 'pam')
    same(verdict(d, 'nobody', 'x'), BAD)
    d.wait_access(outcome='no-resources')
    assert 'there is no /etc/pam.d/spliced' in h.log(), h.log()


def test_a_service_is_what_pam_makes_of_its_name(t):
    # Which knows lower case only, and would take "other".
    permit = 'auth required pam_permit.so\naccount required pam_permit.so\n'
    h = Helper(t, {'other': permit, 'Proxy':
                   'auth required pam_deny.so\n'
                   'account required pam_deny.so\n'}).start()
    d = proxy(t, 'pam', pam_service='Proxy')
    same(verdict(d, 'nobody', 'x'), BAD)
    d.wait_access(outcome='no-resources')
    assert 'there is no /etc/pam.d/proxy' in h.log(), h.log()


def test_a_module_that_is_missing_is_told(t):
    h = Helper(t, {'spliced': 'auth required pam_nothing.so\n'}).start()
    d = proxy(t, 'pam')
    same(verdict(d, 'nobody', 'x'), BAD)
    d.wait_access(outcome='no-resources')
    assert 'PAM service "spliced"' in h.log(), h.log()


def test_others_may_not_ask(t):
    h = Helper(t, {'spliced': UNIX}, accounts(('alice', crypt('secret'))),
               user='root').start()
    d = proxy(t, 'pam')
    same(verdict(d, 'alice', 'secret'), BAD)
    d.wait_access(outcome='no-resources')
    assert 'not the one who may ask' in h.log(), h.log()


def test_a_helper_that_hangs_holds_up_only_who_asks(t):
    h = Helper(t, {'spliced': UNIX}, accounts(('alice', crypt('secret'))))
    file = users(t, {'bob': 'builder'})
    d = Daemon(t, {
        'auth': {'helper': h.path, 'users_file': file, 'failure_delay': '0'},
        'clients': [{'action': 'allow', 'from': 'any',
                     'auth': ['password', 'pam']}],
        'timeouts': {'handshake': '1s', 'shutdown': '5s'}})
    # Nobody takes his question out of the queue.
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login('alice', 'secret'))
        same(verdict(d, 'bob', 'builder'), GOOD)
        same(read_all(s), b'')
    d.wait_access(outcome='handshake-timeout')
    # What nobody waits for any more is not in the way of the next.
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login('alice', 'secret'))
        client.delivered(s)
        client.reset(s)
    d.wait_access(outcome='client-left')
    h.start()
    same(verdict(d, 'alice', 'secret'), GOOD)


def test_verdicts_that_come_after_the_lock_out_do_not_count(t):
    path = t.path('pam')
    d = proxy(t, 'pam', lock_after=2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stand_in:
        stand_in.settimeout(patient(10))
        stand_in.bind(path)
        os.chmod(path, 0o666)
        os.chmod(t.dir, 0o755)
        stand_in.listen()
        guesses = []
        for _ in range(4):
            guess = dial(d.address)
            same(socks5_greet(guess, b'\2'), b'\5\2')
            guess.sendall(socks5_login('alice', 'secret'))
            question = stand_in.accept()[0]
            assert question.recv(1000)
            guesses.append((guess, question))
        # Whoever asks for many at once learns no more than one by one.
        for n, said in enumerate((BAD, BAD, GOOD, BAD)):
            guess, question = guesses[n]
            question.send(said)
            same(read_exact(guess, 2), BAD)
            question.close()
            guess.close()
            d.wait_access(1 + n % 2,
                          outcome='auth-failed' if n < 2 else 'locked-out')


# --- The helper by itself ---------------------------------------------------

def ask(h, packet):
    """What it replies to a packet; b'' is its end of the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(patient(10))
        s.connect(h.path)
        if packet:
            s.send(packet)
        else:
            s.shutdown(socket.SHUT_WR)
        try:
            return s.recv(100)
        except ConnectionResetError:
            return b''


def text(s):
    return bytes([len(s)]) + s


def packet(kind=2, service=b'', where=b'192.0.2.1', name=b'alice',
           password=b'secret', version=1):
    return bytes([version, kind]) + text(service) + text(where) + \
        text(name) + text(password)


def test_the_helper_takes_nothing_but_questions(t):
    h = Helper(t, {'spliced': UNIX},
               accounts(('alice', crypt('secret')))).start()
    same(ask(h, packet()), b'\1\0')
    same(ask(h, packet(password=b'x')), b'\1\1')
    whole = packet(1, b'spliced')
    same(ask(h, whole), b'\1\0')
    for wrong in (b'', b'\1', b'\1\2', whole[:-1], whole + b'x', bytes(2000),
                  packet(version=2), packet(0), packet(3), packet(2, b'x'),
                  packet(1), packet(1, b'../x'), packet(1, b'a/b'),
                  packet(1, b'.x'), packet(1, b'x' * 65), packet(name=b''),
                  packet(name=b'a\0'), packet(password=b'a\0'),
                  packet(where=b'x' * 65)):
        same((wrong, ask(h, wrong)), (wrong, b''))
    same(ask(h, packet(name=b'a' * 255, password=b'b' * 255)), b'\1\1')
    same(ask(h, packet()), b'\1\0')


def test_the_helper_ends_when_nobody_asks(t):
    h = Helper(t, etc=accounts(('alice', crypt('secret'))), idle=1).start()
    same(ask(h, packet()), b'\1\0')
    same(h.process.wait(patient(10)), 0)
    # What comes meanwhile waits for the next one.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(patient(10))
        s.connect(h.path)
        s.send(packet())
        h.start()
        same(s.recv(100), b'\1\0')


def test_more_questions_than_it_answers_at_once_wait(t):
    h = Helper(t, etc=accounts(('alice', crypt('secret')))).start()
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
              for _ in range(15)]
    for s in silent:
        s.connect(h.path)
    asked = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(patient(20))
        s.connect(h.path)
        s.send(packet())
        asked.append(s)
    for s in asked:
        with s:
            same(s.recv(100), b'\1\0')
    for s in silent:
        s.close()


@each((), ('--idle', 'x'), ('--idle', '-1'), ('--nonsense',), ('x',),
      ('--user', 'no-such-user'))
def test_the_helper_says_what_is_wrong(t, args):
    done = t.run(os.path.join(t.build, 'spliced-pam'), *args)
    assert done.returncode in (1, 2), done.returncode
    assert done.stderr, done


def test_the_helper_tells_about_itself(t):
    for option, said in (('--help', b'Usage'), ('--version', b'spliced-pam ')):
        done = t.run(os.path.join(t.build, 'spliced-pam'), option)
        same(done.returncode, 0)
        assert said in done.stdout, done.stdout


# --- Its units --------------------------------------------------------------

def test_units_start_the_helper(t):
    s = Service(t, {
        'user': None,
        'clients': [{'action': 'allow', 'from': 'any',
                     'auth': ['pam', 'system']}],
        'auth': {'cache': '0'}}, start=False)
    box = s.box
    for name in ('spliced-pam.service', 'spliced-pam.socket'):
        box.write('/usr/lib/systemd/system/' + name, unit_text(name))
    box.write('/usr/sbin/spliced-pam', '')
    with open(os.path.join(t.build, 'spliced-pam'), 'rb') as f, \
            open(box.path('/usr/sbin/spliced-pam'), 'wb') as to:
        to.write(f.read())
    os.chmod(box.path('/usr/sbin/spliced-pam'), 0o755)
    box.write('/etc/pam.d/spliced', UNIX)
    box.write('/etc/passwd', box.read('/etc/passwd') +
              'alice:x:2000:2000::/:/bin/sh\n')
    box.write('/etc/shadow', box.read('/etc/shadow') +
              f'alice:{crypt("secret")}:19000::::::\n', 0o640)
    box.systemctl('daemon-reload')
    said = box.run('systemd-analyze', 'verify', '--man=no',
                   'spliced-pam.socket', 'spliced-pam.service').out
    same([x for x in said.splitlines() if 'spliced' in x], [])
    box.systemctl('enable', 'spliced-pam.socket')
    box.systemctl('start', s.unit)
    o = Origin(t, echo)

    def logs_in(password):
        s, reply = socks5_ask(('127.0.0.1', 1080), o.target,
                              login=('alice', password))
        with s:
            return echoes(s)

    eventually(lambda: box.show('spliced-pam.socket')['ActiveState'] ==
               'active')
    assert logs_in('secret')
    p = box.show('spliced-pam.service')
    same((p['ActiveState'], p['CapabilityBoundingSet']), ('active', ''))
    pid = next(iter(box.processes('spliced-pam.service').values()))
    status = proc.status(pid)
    same((int(status['CapEff'], 16), status['NoNewPrivs'], status['Seccomp']),
         (0, '1', '2'))
    # The folder of its socket goes with the service, and comes back.
    for verb in ('restart', 'stop', 'start'):
        box.systemctl(verb, s.unit, seconds=60)
        if verb != 'stop':
            eventually(lambda: box.show('spliced-pam.socket')['ActiveState'] ==
                       'active')
            assert logs_in('secret')
    same(box.show('spliced-pam.socket')['ActiveState'], 'active')
    said = str(box.journal('spliced-pam.service'))
    assert 'secret' not in said, said
