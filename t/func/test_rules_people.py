"""Rules that speak of users, groups, protocols, and of what files list."""
import os

from lib import client, net
from lib.case import each, netns, same, valgrind
from lib.client import socks5_ask
from lib.conf import allow, deny
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import Origin, echo
from lib.udp import Association, Echo, nothing_comes
from lib.users import demand, users

LOGINS = {'ann': 'secret', 'bob': 'hidden', 'joe': 'public'}
GROUPS = 'staff:x:100:ann,bob\nops:x:101:bob\n'
HERE, PUBLIC = '127.0.0.1', '192.88.98.7'


def code(d, target, user=None, **how):
    """The reply to a request, of a user or of nobody."""
    login = (user, LOGINS[user]) if user else None
    s, reply = socks5_ask(d.address, target, login=login, **how)
    s.close()
    return reply.code


def allowed(d, target, user=None, **how):
    got = code(d, target, user, **how)
    assert got in (client.SUCCEEDED, client.DENIED), got
    return got == client.SUCCEEDED


def people(t, rules, auth=('password',)):
    groups = t.file('groups', GROUPS)
    return Daemon(t, {**demand(users(t, LOGINS), *auth, groups_file=groups),
                      'rules': rules})


# Rules, and whom they let in.
WHO = {
    'a user': ([allow(users=['ann'])], 'ann'),
    'users': ([allow(users=['ann', 'joe'])], 'ann joe'),
    'a group': ([allow(groups=['staff'])], 'ann bob'),
    'a user and a group': ([allow(users=['joe'], groups=['ops'])], 'bob joe'),
    'whoever has logged in': ([allow(users=['*'])], 'ann bob joe'),
    'all but a group': ([deny(groups=['ops']), allow()], 'ann joe'),
    'the first that matches': (
        [allow(users=['bob']), deny(groups=['staff']), allow()], 'bob joe'),
}


@each(*WHO)
def test_a_rule_may_name_users_and_groups(t, what):
    rules, wanted = WHO[what]
    d = people(t, rules)
    o = Origin(t, echo)
    for user in LOGINS:
        assert allowed(d, o.target, user) == (user in wanted.split()), user


@valgrind
def test_the_log_says_who_was_denied_by_what(t):
    d = people(t, [deny(name='no-ops', groups=['ops']), allow()])
    o = Origin(t, echo)
    assert not allowed(d, o.target, 'bob')
    line = d.wait_access(outcome='denied')
    same((line['user'], line['rule']), ('bob', 'no-ops'))


PROTOCOLS = {'socks5': 'socks5', 'http': 'http'}


@each(*PROTOCOLS)
def test_a_rule_may_name_a_protocol(t, protocol):
    d = Daemon(t, {'rules': [allow(protocols=[protocol])]})
    o = Origin(t, echo)
    for other in client.PROTOCOLS:
        s, refused = client.ask(d.address, o.target, other)
        s.close()
        assert bool(refused) == (other != protocol), other


def test_a_rule_may_name_a_file(t):
    t.file('bad', '# from somewhere\n127.0.0.2/31  # two\n.evil.example\n'
                  'www.odd.example\n')
    hosts = t.file('hosts', ''.join(
        f'{HERE} {name}\n' for name in
        ('evil.example', 'a.evil.example', 'www.odd.example', 'odd.example')))
    d = Daemon(t, {'rules': [deny(to='@bad'), allow()],
                   'names': {'hosts': hosts}})
    o = Origin(t, echo, host='0.0.0.0')
    for host, wanted in ((HERE, True), ('127.0.0.2', False),
                         ('127.0.0.3', False), ('127.0.0.4', True),
                         ('evil.example', False), ('a.evil.example', False),
                         ('www.odd.example', False), ('odd.example', True)):
        assert allowed(d, (host, o.port)) == wanted, host


def test_a_rule_may_list_whom_it_is_for(t):
    good = t.file('good', '127.0.0.2\n127.0.1.0/24\n')
    d = Daemon(t, {'rules': [allow(**{'from': '@' + good})]})
    o = Origin(t, echo)
    for source, wanted in ((HERE, False), ('127.0.0.2', True),
                           ('127.0.1.9', True), ('127.0.2.1', False)):
        assert allowed(d, o.target, source=source) == wanted, source


# A short name is denied as what it stands for, and allowed as it is written.
SHORT = {
    'denied as what it stands for': ([deny(to='.corp.example'), allow()],
                                     False),
    'denied as it is written': ([deny(to='db'), allow()], False),
    'allowed as it is written': ([allow(to='db')], True),
    'not allowed as what it stands for': ([allow(to='.corp.example')], False),
    'denied as something else': ([deny(to='.other.example'), allow()], True),
}


@netns
@each(*SHORT)
def test_a_short_name(t, what):
    net.add_address(PUBLIC + '/32')
    rules, wanted = SHORT[what]
    server = DnsServer(t, {('db.corp.example', 'A'): a(PUBLIC)})
    d = Daemon(t, {'rules': rules, 'names': {
        'servers': [server.address], 'search': ['corp.example']}})
    o = Origin(t, echo, host=PUBLIC)
    for _ in range(2):  # from the cache, too
        assert allowed(d, ('db', o.port)) == wanted


@netns
def test_a_short_name_in_other_commands(t):
    net.add_address(PUBLIC + '/32')
    server = DnsServer(t, {('db.corp.example', 'A'): a(PUBLIC)})
    d = Daemon(t, {'rules': [deny(name='corp', to='.corp.example'), allow()],
                   'names': {'servers': [server.address],
                             'search': ['corp.example']}})
    same(code(d, ('db', 80), command=client.BIND), client.DENIED)
    d.wait_access(outcome='denied', rule='corp')
    e = Echo(t, host=PUBLIC)
    u = Association(t, d.address)
    u.send(('db', e.target[1]), b'lost', as_name=True)
    assert u.echoes(e.target)
    nothing_comes(u.socket)


def test_a_list_that_changes_counts_for_datagrams_at_once(t):
    bad = t.file('bad', '127.0.0.9\n')
    d = Daemon(t, {'rules': [deny(to='@bad'), allow()]})
    first, second = Echo(t, host='127.0.0.2'), Echo(t)
    u = Association(t, d.address)
    for _ in range(2):
        assert u.echoes(first.target) and u.echoes(second.target)
    os.rename(t.file('new', '127.0.0.2\n'), bad)
    same(d.control.run('refresh').returncode, 0)
    u.send(first.target, b'lost')
    assert u.echoes(second.target)
    nothing_comes(u.socket)
    os.rename(t.file('new', '# none\n'), bad)
    same(d.control.run('refresh').returncode, 0)
    assert u.echoes(first.target)
