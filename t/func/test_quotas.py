"""Volume quotas: how much users may move, over reloads, crashes and days."""
import fcntl
import json
import os
import re
import signal
import time

from lib import client
from lib.case import eventually, same, tool
from lib.client import dial, echoes, read_exact, read_to_end, socks5_ask
from lib.daemon import Daemon, check
from lib.faketime import FakeTime
from lib.origin import Origin, echo, web
from lib.users import demand, readable, users

ALICE, BOB = ('alice', 'secret'), ('bob', 'hidden')
BODY = b'x' * 300000


def changes(t, *quotas, **more):
    """A folder that the daemon's user may write to, too."""
    folder = t.path('state')
    if not os.path.isdir(folder):
        os.mkdir(folder)
        os.chmod(folder, 0o777)
    path = readable(users(t, dict([ALICE, BOB])))
    return {**demand(path), 'quotas': list(quotas),
            'limits': {'per_client': 0, 'quota_state': state(t)}, **more}


def state(t):
    return os.path.join(t.path('state'), 'quotas')


def curl(t, d, o, login=ALICE, status='200', protocol='socks5'):
    """Downloads the body, and tells whether it came."""
    proxy = f'{protocol}://{login[0]}:{login[1]}@{client.authority(*d.address)}'
    done = t.run(tool('curl', 'curl'), '-s', '-o', t.path('body'), '-w',
                 '%{http_code} %{size_download}', '--proxy', proxy,
                 f'http://{client.authority(*o.target)}/')
    return done.returncode == 0 and \
        done.stdout.decode() == f'200 {len(BODY)}'


def used(d, user='alice'):
    """What splicedctl says of a user, or None; writes the file, too."""
    done = d.control.run('--json', 'quotas')
    same((done.returncode, done.err), (0, ''))
    found = [j for line in done.out.splitlines()
             if (j := json.loads(line)).get('user') == user]
    return found[0] if found else None


def test_who_has_used_up_his_quota_is_refused(t):
    d = Daemon(t, changes(t, {'name': 'small', 'users': ['alice'],
                              'day': '500k'}))
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    found = used(d)
    same((found['quota'], found['day_limit'], found['used_up'],
          found['over']), ('small', 500 << 10, False, 'refuse'))
    assert len(BODY) < found['day'] < len(BODY) + 2000, found
    same(found['month'], found['day'])
    assert curl(t, d, o)
    # By SOCKS and by HTTP, and nobody else.
    s, reply = socks5_ask(d.address, o.target, login=ALICE)
    s.close()
    same(reply.code, client.DENIED)
    assert not curl(t, d, o, protocol='http')
    d.wait_access(2, outcome='quota', user='alice')
    assert curl(t, d, o, BOB)
    d.wait_log(r"quota 'small' of user 'alice' is used up")
    done = d.control.run('quotas', 'alice')
    assert re.search(r'^alice +small +\d+k +500k +\d+k +- +refuse$', done.out,
                     re.M), done.out
    done = d.control.run('quotas', 'bob')
    same(done.returncode, 1)
    assert 'nothing is known' in done.err, done.err
    same(d.control.run('quotas', 'alice', '--reset').returncode, 0)
    same(used(d)['day'], 0)
    assert curl(t, d, o)


def test_a_browser_is_told_with_a_403(t):
    d = Daemon(t, changes(t, {'users': ['*'], 'day': '1k'}))
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    done = t.run(tool('curl', 'curl'), '-s', '-w', '%{http_code}', '--proxy',
                 f'http://alice:secret@{client.authority(*d.address)}',
                 f'http://{client.authority(*o.target)}/')
    assert done.stdout.endswith(b'403'), done.stdout


def stay(s):
    """Sends the body, and has not ended yet."""
    s.sendall(BODY)
    s.recv(1)


def test_running_sessions_end_where_it_says_so(t):
    d = Daemon(t, changes(t, {'users': ['*'], 'month': '100k',
                              'over': 'end'}))
    o = Origin(t, stay)
    s, reply = socks5_ask(d.address, o.target, login=ALICE)
    same(reply.code, client.SUCCEEDED)
    with s:
        read_exact(s, len(BODY))
        same(read_to_end(s)[0], b'')
    d.wait_access(outcome='quota', user='alice')


def test_nobody_ends_for_who_had_his_place_before(t):
    """A session that has not logged in yet, where that of a user was who has
    used up his quota."""
    d = Daemon(t, {**changes(t, {'users': ['*'], 'month': '100k',
                                 'over': 'end'}), 'workers': 1})
    o, q = Origin(t, echo), Origin(t, stay)
    with socks5_ask(d.address, o.target, login=BOB)[0] as bob:
        assert echoes(bob)
        with socks5_ask(d.address, q.target, login=ALICE)[0] as s:
            read_to_end(s)
        d.wait_access(outcome='quota', user='alice')
        with dial(d.address) as s:
            s.sendall(b'\x05')
            eventually(lambda: 'handshake' in d.control.run('sessions').out)
            # Whoever is to end with Bob has ended then.
            assert echoes(bob, b'z' * 60000)
            same(read_to_end(bob)[0], b'')
            s.sendall(b'\x01\x02')
            same(read_exact(s, 2), b'\x05\x02')


def test_it_outlives_reload_crash_and_restart(t):
    """Nothing is lost but what a killed process has not written yet, and
    nothing is counted twice."""
    quota = {'users': ['alice'], 'day': '1M'}
    d = Daemon(t, changes(t, quota))
    o = Origin(t, web(BODY))
    lasting = Origin(t, lambda s: (s.sendall(b'y' * 1000), s.recv(1)))
    s, reply = socks5_ask(d.address, lasting.target, login=ALICE)
    same(reply.code, client.SUCCEEDED)
    read_exact(s, 1000)
    assert curl(t, d, o)
    d.reload(rebase=False)  # the old one drains, and counts on
    assert curl(t, d, o)
    s.close()
    d.wait_alone()
    first = used(d)['day']
    assert 2 * len(BODY) + 1000 <= first < 2 * len(BODY) + 6000, first
    os.kill(d.worker, signal.SIGKILL)
    d.wait_log(r'generation 3\b.*\n')
    d.found = None
    eventually(d.serving, 10, 'a generation that serves')
    same(used(d)['day'], first)
    d.stop()
    d = Daemon(t, changes(t, quota))
    same(used(d)['day'], first)
    assert curl(t, d, o)
    assert curl(t, d, o)
    assert not curl(t, d, o)
    # The master is killed: its orphan writes what it has.
    last = used(d)['day']
    d.kill()
    d.wait_gone()
    d = Daemon(t, changes(t, quota))
    same(used(d)['day'], last)
    assert not curl(t, d, o)


def test_days_and_months_end_at_midnight(t):
    clock = FakeTime(t, '2026-11-30 23:59:00')
    d = Daemon(t, {**changes(t, {'users': ['*'], 'day': '400k',
                                 'month': '1M'}), **clock.changes},
               env=clock.env)
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    assert curl(t, d, o)
    assert not curl(t, d, o)
    clock.set('2026-12-01 00:00:05')
    eventually(lambda: used(d)['day'] == 0, 10, lambda: used(d))
    same(used(d)['month'], 0)
    for day in (1, 2):
        clock.set(f'2026-12-0{day} 12:00:00')
        eventually(lambda: used(d)['day'] == 0, 10, lambda: used(d))
        assert curl(t, d, o)
        assert curl(t, d, o)
        assert not curl(t, d, o)
    # The month is over before the day.
    clock.set('2026-12-03 12:00:00')
    eventually(lambda: used(d)['day'] == 0, 10, lambda: used(d))
    assert used(d)['used_up']
    assert not curl(t, d, o)


def test_a_file_that_makes_no_sense_is_kept_aside(t):
    quota = {'users': ['alice'], 'day': '1M'}
    more = changes(t, quota)
    with open(state(t), 'w', encoding='ascii') as f:
        f.write('spliced-quotas 1\nnonsense\n')
    os.chmod(state(t), 0o666)
    d = Daemon(t, more)
    d.wait_log(r'error quotas: .*/quotas:2: the state makes no sense .*'
               r'all users begin anew; it was kept as .*\.bad')
    with open(state(t) + '.bad', encoding='ascii') as f:
        assert 'nonsense' in f.read()
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    assert used(d)['day'] > len(BODY)
    with open(state(t), encoding='ascii') as f:
        assert f.read().endswith(' alice\nend 1\n')


def test_a_file_that_cannot_be_written_does_not_matter(t):
    path = os.path.join(t.path('nowhere'), 'sub', 'quotas')
    d = Daemon(t, changes(t, {'users': ['*'], 'day': '500k'},
                          limits={'quota_state': path, 'per_client': 0}))
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    assert used(d)['day'] > len(BODY)
    d.wait_log(r'error quotas: what was used cannot be kept in .*: No such')
    assert curl(t, d, o)
    used(d)
    assert not curl(t, d, o)
    d.reload()
    d.stop()
    same(len(re.findall('error quotas: what was used', d.log())), 2)


def write_state(t, *lines):
    """As another generation does: beside it, then in its place."""
    path = state(t)
    with open(path + '.new', 'w', encoding='ascii') as f:
        f.write('\n'.join(['spliced-quotas 1', *lines,
                           f'end {len(lines)}']) + '\n')
    os.chmod(path + '.new', 0o666)
    os.rename(path + '.new', path)


def test_a_sum_that_is_as_large_as_can_be_stays_so(t):
    more = changes(t, {'users': ['alice'], 'day': '1G'},
                   {'users': ['bob'], 'month': '1G'})
    month = time.strftime('%Y%m')
    write_state(t, *(f'0 0 {month} {2**64 - 1} {name}'
                     for name in ('alice', 'bob')))
    d = Daemon(t, more)
    o = Origin(t, web(BODY))
    assert curl(t, d, o)
    assert not curl(t, d, o, BOB)
    found = used(d)
    assert len(BODY) < found['day'] < len(BODY) + 2000, found
    same((found['month'], used(d, 'bob')['month']), (2**63 - 1, 2**63 - 1))
    d.stop()
    d = Daemon(t, more)
    same(used(d)['month'], 2**63 - 1)
    assert not curl(t, d, o, BOB)


def test_while_a_sibling_writes_nothing_is_counted_twice(t):
    """The file and what a sibling has not written are seen together."""
    d = Daemon(t, changes(t, {'users': ['alice'], 'day': '1G'}))
    lasting = Origin(t, lambda s: (s.sendall(b'y' * 1000), s.recv(1)))
    s, reply = socks5_ask(d.address, lasting.target, login=ALICE)
    same(reply.code, client.SUCCEEDED)
    with s:
        read_exact(s, 1000)
        d.reload(rebase=False)  # the old one drains: a sibling
        before = eventually(lambda: (used(d) or {}).get('day'))
        folder = os.open(t.path('state'), os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            day = time.strftime('%Y%m%d')
            write_state(t, f'{day} {5 << 30} {day[:6]} {5 << 30} alice')
            same((used(d)['day'], used(d)['used_up']), (before, False))
        finally:
            os.close(folder)
        eventually(lambda: used(d)['used_up'])
    d.wait_alone()


BASE = ('listeners: ( { name = "a"; address = "127.0.0.1:1080"; } );\n'
        'clients: ( { action = "allow"; from = "loopback"; } );\n'
        'rules: ( { action = "allow"; } );\n')


def test_mistakes_are_told(t):
    for entry, status, words in (
            ('{ day = "1G"; }', 0, "is nobody's: name 'users'"),
            ('{ users = "*"; }', 0, 'bounds nothing: say how much'),
            ('{ groups = "g"; day = "1k"; }', 1, "no 'groups_file'"),
            ('{ users = "*"; day = "lots"; }', 1, 'is no size'),
            ('{ users = "*"; day = "1"; }', 1, 'must be 0 or 1k to')):
        done = check(t, BASE + f'quotas: ( {entry} );\n')
        same((entry, done.returncode), (entry, status))
        assert re.search(rf'conf:4: .*{words}', done.err), done.err


def test_without_quotas_there_is_nothing_to_show(t):
    d = Daemon(t)
    done = d.control.run('quotas')
    same(done.returncode, 1)
    assert 'no quotas' in done.err, done.err
    same(d.control.run('quotas', '--reset').returncode, 2)
