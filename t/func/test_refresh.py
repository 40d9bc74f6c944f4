"""Users, groups and lists that change while a generation serves."""
import json
import os
import random
import re
import signal
import socket
import threading
import time

from lib import client, proc
from lib.case import (SLOWNESS, Skip, alone, each, eventually, fewer, long, measured,
                      patient, same, slow, still, timeout)
from lib.churn import Churn, assert_whole
from lib.client import (BIND, UDP, dial, echoes, read_all, read_exact,
                        read_to_end, socks5_ask, socks5_greet, socks5_login)
from lib.control import fails
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.serving import Newcomer
from lib.users import crypt, demand, readable, users
from lib.windows import assert_within_bound, ratios

ALICE, BOB = ('alice', 'secret'), ('bob', 'hidden')
BAD, GOOD = b'\1\1', b'\1\0'


def put(t, path, text, mode=0o644):
    """Another file of that name, by rename."""
    os.rename(t.file('new', text, mode), path)


def put_users(t, path, *logins):
    put(t, path, ''.join(f'{name}:{crypt(password)}\n'
                         for name, password in logins))


def daemon_of(t, *logins, **changes):
    """A daemon that knows them, and the path of its file."""
    path = readable(users(t, dict(logins)))
    return Daemon(t, {**demand(path), **changes}), path


def answer_to(d, login):
    """What a login is answered."""
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login(*login))
        return read_exact(s, 2)


def tunnel_of(d, o, login, **options):
    s, reply = socks5_ask(d.address, o.target, login=login, **options)
    same(reply.code, client.SUCCEEDED)
    return s


def refresh(d, *words):
    done = d.control.run('refresh', *words)
    same((done.returncode, done.err), (0, ''))
    return done.out


def maps(pid):
    try:
        with open(f'/proc/{pid}/maps', encoding='ascii') as f:
            return f.read()
    except OSError:
        return ''


# --- What a refresh changes -------------------------------------------------

def test_a_new_user_may_log_in(t):
    d, path = daemon_of(t, ALICE)
    o = Origin(t, echo)
    same(answer_to(d, BOB), BAD)
    with tunnel_of(d, o, ALICE) as s:
        assert echoes(s)
        put_users(t, path, ALICE, BOB)
        assert re.search(r'^read anew in \d+ ms; users: 2$', refresh(d)), d
        same(answer_to(d, BOB), GOOD)
        assert echoes(s)
    same(d.control.status()['generations'], 1)
    d.wait_log(r'notice refreshed, as splicedctl \(uid \d+, pid \d+\) asks, in \d+ ms; users: 2\n')


def test_who_is_gone_cannot_log_in_though_he_is_remembered(t):
    d, path = daemon_of(t, ALICE, BOB)
    for _ in range(2):
        same(answer_to(d, BOB), GOOD)
    put_users(t, path, ALICE)
    refresh(d)
    same(answer_to(d, BOB), BAD)
    same(answer_to(d, ALICE), GOOD)


def test_another_password_counts_at_once(t):
    d, path = daemon_of(t, ALICE)
    same(answer_to(d, ALICE), GOOD)
    put_users(t, path, ('alice', 'another'))
    refresh(d)
    same(answer_to(d, ALICE), BAD)
    same(answer_to(d, ('alice', 'another')), GOOD)


@long
@timeout(60)
def test_a_changed_file_is_seen(t):
    d, path = daemon_of(t, ALICE)
    put_users(t, path, ALICE, BOB)
    d.wait_log(r'refreshed, \S+users has changed, .*; users: 2\n', 20)
    same(answer_to(d, BOB), GOOD)
    same(len(re.findall(r'\brefreshed\b', d.log())), 1)


@slow
@timeout(60)
def test_a_file_may_be_written_in_place(t):
    """Nobody is locked out while it is empty, or holds a part."""
    d, path = daemon_of(t, ALICE)
    with open(path, 'w', encoding='ascii') as f:
        f.write(f'eve:{crypt("x")}\n')
        f.flush()
        for i in range(20):
            threading.Event().wait(0.3)
            f.write(f'user-{i}:{crypt("x")}\n')
            f.flush()
        f.write(f'bob:{crypt("hidden")}\n')
    d.wait_log(r'refreshed, \S+users has changed, .*; users: 22\n', 20)
    same(answer_to(d, BOB), GOOD)
    same(len(re.findall(r'\brefreshed\b', d.log())), 1)


@each('alice', 'x:y', 'bob:$5$salt$')
def test_a_bad_file_changes_nothing(t, line):
    d, path = daemon_of(t, ALICE)
    put(t, path, f'# one\nbob:{crypt("hidden")}\n{line}\n')
    fails(d.control.run('refresh'), 1,
          rf'^splicedctl: {re.escape(path)}:3: .')
    same(answer_to(d, ALICE), GOOD)
    same(answer_to(d, BOB), BAD)
    d.wait_log(r'error refresh failed, what was read before holds: '
               rf'{re.escape(path)}:3: .')
    put_users(t, path, BOB)
    refresh(d)
    same(answer_to(d, BOB), GOOD)


def test_a_missing_file_changes_nothing(t):
    d, path = daemon_of(t, ALICE)
    os.unlink(path)
    fails(d.control.run('refresh'), 1, 'cannot be read: No such file')
    same(answer_to(d, ALICE), GOOD)


def test_a_file_may_be_a_link(t):
    """As configuration management makes them."""
    t.folder('real')
    for name, login in (('one', ALICE), ('two', BOB)):
        put_users(t, t.path(f'real/{name}'), login)
    os.symlink('real/one', t.path('users'))
    d = Daemon(t, demand(t.path('users')))
    os.symlink('real/two', t.path('other'))
    os.rename(t.path('other'), t.path('users'))
    refresh(d)
    same(answer_to(d, BOB), GOOD)
    same(answer_to(d, ALICE), BAD)


def test_groups_count_at_once(t):
    d, path = daemon_of(t, ALICE, BOB)
    o = Origin(t, echo)
    groups = t.file('groups', 'staff:x:1:alice\n')
    d.write({'auth': {'users_file': path, 'groups_file': groups},
             'rules': [{'action': 'allow', 'to': ['loopback'],
                        'groups': ['staff']}]})
    d.reload()
    for member, other in ((ALICE, BOB), (BOB, ALICE)):
        put(t, groups, f'staff:x:1:{member[0]}\n')
        refresh(d)
        tunnel_of(d, o, member).close()
        s, reply = socks5_ask(d.address, o.target, login=other)
        with s:
            same(reply.code, client.DENIED)


def test_lists_count_at_once(t):
    path = t.file('list', '127.0.0.2\n')
    d = Daemon(t, {'rules': [{'action': 'allow', 'to': ['@' + path]}]})
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target)
    with s:
        same(reply.code, client.DENIED)
    put(t, path, '# more\n127.0.0.0/8\n')
    refresh(d)
    s, reply = socks5_ask(d.address, o.target)
    with s:
        same(reply.code, client.SUCCEEDED)
        put(t, path, '10.0.0.0/8\n10.0.0.0/33\n')
        fails(d.control.run('refresh'), 1, rf'{re.escape(path)}:2: .')
        assert echoes(s)
    s, reply = socks5_ask(d.address, o.target)
    with s:
        same(reply.code, client.SUCCEEDED)


def test_old_generations_refresh_too(t):
    """A file of theirs is read by each of them, by its own configuration."""
    d, path = daemon_of(t, ALICE)
    o = Origin(t, echo)
    with tunnel_of(d, o, ALICE) as s:
        d.reload()
        put_users(t, path, BOB)
        refresh(d)
        # Who asked is known to the one that answers.
        eventually(lambda: len(re.findall(
            r'notice refreshed, as splicedctl( \(.*\))? asks', d.log())) == 2)
        assert echoes(s)


# --- Who may read -----------------------------------------------------------

def test_a_file_for_root_alone_is_warned_of(t):
    if os.geteuid() != 0:
        raise Skip('only root can give up being root')
    path = users(t, dict([ALICE]))
    d = Daemon(t, demand(path))
    d.wait_log(rf'warning {re.escape(path)}: cannot be read any more')
    fails(d.control.run('refresh'), 1, 'cannot be read: Permission denied')
    same(answer_to(d, ALICE), GOOD)


# --- Who is gone ------------------------------------------------------------

def test_enforce_ends_the_sessions_of_who_is_gone(t):
    d, path = daemon_of(t, ALICE, BOB)
    o = Origin(t, echo)
    with tunnel_of(d, o, ALICE) as a, tunnel_of(d, o, BOB) as b:
        assert echoes(a) and echoes(b)
        put_users(t, path, ALICE)
        refresh(d)
        assert echoes(a) and echoes(b)
        out = refresh(d, '--enforce')
        assert out.endswith('; sessions of others ended: 1\n'), out
        same(read_to_end(b), (b'', 'reset'))
        line = d.wait_access(outcome='killed')
        same((line['user'], line['protocol']), ('bob', 'socks5'))
        assert echoes(a)
        assert 'ended' not in refresh(d, '--enforce')
        assert echoes(a)
    d.wait_log(r'refreshed, .*; sessions of others ended: 1\n')


@each(BIND, UDP)
def test_enforce_ends_what_waits(t, command):
    d, path = daemon_of(t, ALICE, BOB)
    found = {}
    for login in (ALICE, BOB):
        found[login], reply = socks5_ask(d.address, ('127.0.0.1', 9),
                                         command, login=login)
        same(reply.code, client.SUCCEEDED)
    put_users(t, path, ALICE)
    refresh(d, '--enforce')
    read_all(found[BOB])
    line = d.wait_access(outcome='killed')
    same(line['user'], 'bob')
    same(len(d.access()), 1)
    for s in found.values():
        s.close()


def test_enforce_asks_all_who_logged_in_meanwhile(t):
    """A login that was verified by the users of before counts no more."""
    d, path = daemon_of(t, ALICE, BOB)
    o = Origin(t, echo)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(socks5_login(*BOB))
        same(read_exact(s, 2), GOOD)
        put_users(t, path, ALICE)
        refresh(d)
        s.sendall(client.socks5_request(*o.target))
        read_all(s)
    line = d.wait_access(outcome='killed')
    same(line['user'], 'bob')


def test_enforce_reaches_old_generations(t):
    d, path = daemon_of(t, ALICE, BOB)
    o = Origin(t, echo)
    with tunnel_of(d, o, ALICE) as a, tunnel_of(d, o, BOB) as b:
        d.reload()
        put_users(t, path, ALICE)
        refresh(d, '--enforce')
        d.wait_access(outcome='killed', user='bob')
        same(read_to_end(b), (b'', 'reset'))
        assert echoes(a)


@still
@timeout(60)
def test_enforce_reaches_one_that_starts(t):
    """It has read the users of before, and shall not let them in."""
    d, path = daemon_of(t, ALICE, BOB)
    for _ in range(20):
        new = Newcomer(d)
        # A segment of its own, beside the other's, comes after the users.
        eventually(lambda: maps(new.pid).count('/memfd:spliced') > 1 or
                   new.pid == d.worker)
        if new.freeze():
            break
        d.wait_alone()
    else:
        raise Skip('it was never early enough')
    put_users(t, path, ALICE)
    refresh(d, '--enforce')
    new.go_on()
    eventually(lambda: d.worker == new.pid)
    same(answer_to(d, BOB), BAD)
    same(answer_to(d, ALICE), GOOD)


def test_enforce_knows_the_beginning_of_long_names(t):
    long, like_it = ('n' * 40, 'secret'), ('n' * 32 + 'x', 'secret')
    d, path = daemon_of(t, ALICE, long)
    o = Origin(t, echo)
    with tunnel_of(d, o, long) as s:
        put_users(t, path, ALICE, like_it)
        refresh(d, '--enforce')
        assert echoes(s)
        put_users(t, path, ALICE)
        refresh(d, '--enforce')
        same(read_to_end(s), (b'', 'reset'))
    d.wait_access(outcome='killed')


def test_who_did_not_log_in_stays(t):
    """A user id of SOCKS4 is no login, and neither is no name at all."""
    path = readable(users(t, dict([ALICE])))
    d = Daemon(t, demand(path, 'none', 'password'))
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s, \
            client.socks4_ask(d.address, o.target, userid=b'bob')[0] as s4:
        refresh(d, '--enforce')
        assert echoes(s) and echoes(s4)


# --- What is explained is what was read -------------------------------------

def test_what_was_read_last_is_explained(t):
    d, path = daemon_of(t, ALICE)
    ask = ['explain', '127.0.0.1', '127.0.0.1:80', 'bob']
    same(d.control.run(*ask).returncode, 4)
    put_users(t, path, BOB)
    same(d.control.run(*ask).returncode, 4)
    refresh(d)
    same(d.control.run(*ask).returncode, 0)


# --- The control socket -----------------------------------------------------

def test_words_that_nobody_knows_are_refused(t):
    d = Daemon(t)
    for line, why in (('refresh enforced', 'no other word'),
                      ('refresh enforce now', 'no other word'),
                      ('explain', 'wants FROM and TO'),
                      ('explain 10.0.0.1 a:1 b', 'KEY=VALUE'),
                      ('explain 10.0.0.1 a:1 x=1', 'explain knows'),
                      ('explain 10.0.0.1 a:1 user=%zz', '%XX'),
                      ('explain 10.0.0.1 a:1 user=%00', '%XX'),
                      ('refreshing', 'no such verb')):
        answer = d.control.ask(line)[-1]
        same(answer['ok'], False)
        assert why in answer['error'], answer
    same(d.control.ask('  refresh  ')[-1]['ok'], True)


def test_many_ask_at_once(t):
    d, _ = daemon_of(t, ALICE)
    answers = []

    def ask():
        answers.append(d.control.ask('refresh')[-1]['ok'])
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(answers, [True] * 16)


def test_who_asks_need_not_wait(t):
    d, _ = daemon_of(t, ALICE)
    for _ in range(20):
        with d.control.connect() as s:
            s.sendall(b'refresh\n')
    same(d.control.ask('refresh')[-1]['users'], 1)


def stuck(t, d):
    """A client that does not read an answer of half a megabyte."""
    s = d.control.connect()
    t.defer(s.close)
    s.sendall(b'explain 10.0.0.1 127.0.0.1:65535\n')
    eventually(lambda: s.recv(1, socket.MSG_PEEK))
    return s


def many_rules(count=5000):
    return {'rules': [
        {'action': 'deny', 'ports': [str(i + 1)], 'name': f'{"n" * 50}-{i}'}
        for i in range(count)]}


def test_who_does_not_read_holds_up_a_few(t):
    """Others wait for him, so many of them, and the master does not."""
    d = Daemon(t, many_rules())
    s = stuck(t, d)
    waiting = [d.control.connect() for _ in range(32)]
    for w in waiting:
        w.sendall(b'refresh\n')
        w.shutdown(socket.SHUT_WR)
        same(d.control.run('version').returncode, 0)
    answer = d.control.ask('refresh')[-1]
    same((answer['ok'], answer.get('error')), (False, 'too many clients'))
    s.close()
    for w in waiting:
        assert json.loads(read_all(w))['ok']
        w.close()


def test_who_does_not_read_does_not_keep_it_alive(t):
    d = Daemon(t, many_rules())
    stuck(t, d)
    d.signal(signal.SIGTERM)
    d.wait_exit(0)


def test_who_drains_still_refreshes(t):
    d, _ = daemon_of(t, ALICE)
    o = Origin(t, echo)
    with tunnel_of(d, o, ALICE) as s:
        same(d.control.run('drain').returncode, 0)
        # Its tunnels still are of users that may change.
        same(d.control.run('refresh').returncode, 0)
        assert echoes(s)
    d.wait_exit(0)


def test_alone_it_watches_as_well(t):
    path = readable(users(t, dict([ALICE])))
    d = Daemon(t, demand(path), single=True)
    put_users(t, path, BOB)
    d.wait_log(r'refreshed, \S+users has changed', 20)
    same(answer_to(d, BOB), GOOD)


# --- Under load -------------------------------------------------------------

def many_users(count):
    tail = crypt('x')
    return ''.join(f'user-{i}:{tail}\n' for i in range(count))


def many_entries(count):
    numbers = random.Random(1)
    for i in range(count):
        yield (f'10.{numbers.randrange(256)}.{numbers.randrange(256)}.0/24'
               if i % 2 else f'.d{i}.example.com')


class Refreshed:
    """A daemon with a hundred thousand users and entries, under load."""

    def __init__(self, t):
        count = fewer(100000)
        self.path = t.file('users', many_users(count))
        self.files = [t.file(f'users-{i}', many_users(count + i))
                      for i in (1, 2)]
        self.new = t.path('users-new')
        blocked = t.file('list', '\n'.join(many_entries(count)) + '\n')
        self.d = Daemon(t, {
            **demand(self.path, 'none', 'password'),
            'log': {'access': 'off'}, 'timeouts': {'half_closed': '10m'},
            'rules': [{'action': 'deny', 'to': ['@' + blocked]},
                      {'action': 'allow', 'to': ['any', 'loopback']}]})
        self.churn = Churn(t, self.d.address, rate=fewer(500), idle=50, up=2,
                           down=2)

    def p99(self):
        """Since it was last asked; no connection has failed meanwhile."""
        told = self.churn.count()
        same(told['failed'], 0)
        return told['p99_ms']

    def rest(self, seconds=1):
        self.churn.count()
        threading.Event().wait(patient(seconds))
        return self.p99()

    def load(self, seconds=1):
        """Files change and are read, one after the other."""
        self.churn.count()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.files.reverse()
            os.link(self.files[0], self.new)
            os.rename(self.new, self.path)
            told = self.d.control.ask('refresh', 60)[-1]
            assert told['ok'], told
            assert told['ms'] < measured(3000), told
        return self.p99()

    def finish(self):
        threading.Event().wait(patient(0.2))
        assert_whole(self.churn.finish())
        same(self.d.control.status()['generations'], 1)


@timeout(60)
def test_nothing_is_lost_under_load(t):
    """A hundred thousand users and entries, read again and again."""
    r = Refreshed(t)
    r.load(2)
    r.finish()


@slow
@alone
@timeout(120)
def test_nobody_waits_for_a_refresh(t):
    """And p99 is twice what it is at rest at most."""
    if SLOWNESS != 1:
        raise Skip('a measurement')
    r = Refreshed(t)
    found = ratios(r.rest, r.load)
    r.finish()
    assert_within_bound(found)
