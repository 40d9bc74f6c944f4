"""Rules that hold at times of the week only."""
import re
import time

from lib import client
from lib.case import each, same
from lib.client import dial, echoes, read_exact, socks5_ask, socks5_greet
from lib.daemon import Daemon, check
from lib.faketime import FakeTime
from lib.origin import Origin, echo
from lib.users import demand, readable, users

OFFICE = 'mon-fri 08:00-18:00'
MONDAY, EVENING = '2026-11-23 17:59:00', '2026-11-23 18:00:00'


def rules(*when, **more):
    return {'rules': [{'action': 'allow', 'to': ['any', 'loopback'],
                       'when': list(when), **more}]}


def code(d, o, **options):
    s, reply = socks5_ask(d.address, o.target, **options)
    s.close()
    return reply.code


def test_a_rule_holds_at_its_times_only(t):
    clock = FakeTime(t, MONDAY)
    d = Daemon(t, {**rules(OFFICE), **clock.changes}, env=clock.env)
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target)
    same(reply.code, client.SUCCEEDED)
    with s:
        clock.set(EVENING)
        same(code(d, o), client.DENIED)
        # What has begun goes on.
        assert echoes(s)
        clock.set('2026-11-24 08:00:00')
        same(code(d, o), client.SUCCEEDED)
        clock.set('2026-11-28 12:00:00')
        same(code(d, o), client.DENIED)


def test_a_login_is_asked_for_where_its_entry_holds(t):
    clock = FakeTime(t, MONDAY)
    path = readable(users(t, {'alice': 'secret'}))
    changes = demand(path)
    changes['clients'] = [
        {'action': 'allow', 'from': 'any', 'auth': 'none', 'when': [OFFICE]},
        {'action': 'allow', 'from': 'any', 'auth': 'password'}]
    # Who may log in sees something allowed at all times, others by day.
    changes['rules'] = [
        {'action': 'allow', 'to': ['any', 'loopback'], 'users': ['alice']},
        {'action': 'allow', 'to': ['any', 'loopback'], 'when': [OFFICE]}]
    d = Daemon(t, {**changes, **clock.changes}, env=clock.env)
    for now, answer in ((MONDAY, b'\5\0'), (EVENING, b'\5\2')):
        clock.set(now)
        with dial(d.address) as s:
            same(socks5_greet(s, b'\0\2'), answer)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\0'), b'\5\xff')


def test_the_method_follows_the_rules_that_hold(t):
    """Nobody is let in without a login whom no rule would allow anything."""
    clock = FakeTime(t, MONDAY)
    changes = demand(readable(users(t, {'alice': 'secret'})),
                     'none', 'password')
    changes['rules'] = [
        {'action': 'allow', 'to': ['any', 'loopback'], 'when': [OFFICE]},
        {'action': 'allow', 'to': ['any', 'loopback'], 'users': ['alice']}]
    d = Daemon(t, {**changes, **clock.changes}, env=clock.env)
    for now, answer in ((MONDAY, b'\5\0'), (EVENING, b'\5\2')):
        clock.set(now)
        with dial(d.address) as s:
            same(socks5_greet(s, b'\0\2'), answer)


def test_clients_have_times_too(t):
    clock = FakeTime(t, MONDAY)
    d = Daemon(t, {'clients': [{'action': 'allow', 'from': 'any',
                                'when': OFFICE}], **clock.changes},
               env=clock.env)
    o = Origin(t, echo)
    same(code(d, o), client.SUCCEEDED)
    clock.set(EVENING)
    with dial(d.address) as s:
        try:
            read_exact(s, 1)
        except (EOFError, ConnectionError):
            pass
        else:
            raise AssertionError('it was let in')


def test_now_is_local_time(t):
    """A window of some minutes around now, and one that is on the other side
    of the day, by the clock that everybody has."""
    now = time.localtime()
    day = time.strftime('%a', now).lower()
    if 5 < now.tm_hour * 60 + now.tm_min < 1435:
        at = now.tm_hour * 60 + now.tm_min
        window = (f'{day} {(at - 5) // 60:02}:{(at - 5) % 60:02}-'
                  f'{(at + 4) // 60:02}:{(at + 4) % 60:02}')
    else:
        window = '23:00-01:00'
    d = Daemon(t, rules(window))
    o = Origin(t, echo)
    same(code(d, o), client.SUCCEEDED)
    far = (now.tm_hour + 12) % 24
    d.reload(rules(f'{far:02}:00-{far:02}:30'))
    same(code(d, o), client.DENIED)


@each(('mon 17:59', 0, '1 allow day: matches'),
      ('mon 18:00', 4, '1 allow day: when'),
      ('2026-11-23 14:00', 0, '1 allow day: matches'),
      ('2026-11-28T14:00', 4, '1 allow day: when'))
def test_a_time_is_explained(t, case):
    at, status, line = case
    d = Daemon(t, rules(OFFICE, name='day'))
    done = d.control.run('explain', '192.0.2.7', '127.0.0.1:80', '--at', at)
    same((done.returncode, done.err), (status, ''))
    assert line in done.out and f' at {at}\n' in done.out, done.out
    itself = t.run(d.command[0], '--config', d.conf_path, '--explain',
                   '192.0.2.7', '127.0.0.1:80', '--at', at)
    same((itself.returncode, itself.stdout.decode()), (status, done.out))


def test_a_time_that_makes_no_sense_is_no_question(t):
    d = Daemon(t)
    for at in ('noon', '2026-02-30 10:00', 'mon 25:00', '2026-11-23'):
        done = d.control.run('explain', '::1', '[::1]:80', '--at', at)
        same(done.returncode, 1)
        assert f"'{at}' is no time" in done.err, done.err
    same(d.control.run('status', '--at', 'mon 10:00').returncode, 2)


def test_mistakes_have_file_and_line(t):
    done = check(t, 'listeners: ( { name = "a"; address = "127.0.0.1:1080"; } '
                    ');\nclients: ( { action = "allow"; from = "loopback";\n'
                    ' when = [ "mon-fri",\n "moon 08:00-18:00" ]; } );\n'
                    'rules: ( { action = "allow"; when = "8-18"; } );\n')
    same(done.returncode, 1)
    for line, words in ((4, 'does not begin with days'),
                        (5, 'no span of time')):
        assert re.search(rf"{re.escape(done.path)}:{line}: .*'when'.*{words}",
                         done.err), done.err


def test_a_rule_behind_one_that_always_holds_is_warned_of(t):
    both = ('listeners: ( {{ name = "a"; address = "127.0.0.1:1080"; }} );\n'
            'clients: ( {{ action = "allow"; from = "loopback"; }} );\n'
            'rules: ( {{ action = "deny"; when = [ {} ]; }}, {{ action = '
            '"allow"; when = [ {} ]; }} );\n')
    for first, second, hidden in (('', '', True), ('', '"mon"', True),
                                  ('"mon"', '', False),
                                  ('"mon"', '"mon"', True),
                                  ('"mon"', '"mon 8:00-9:00"', False)):
        done = check(t, both.format(first, second))
        same((first, second, 'never matches' in done.err),
             (first, second, hidden))
