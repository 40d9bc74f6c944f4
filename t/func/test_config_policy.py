"""What --check says of rules, logins, lists and bounds, and that they hold."""
import os
import re

from lib import client
from lib.case import each, same
from lib.client import (dial, echoes, http_ask, http_request, read_all,
                        socks5_ask, socks5_greet)
from lib.daemon import Daemon, check, once
from lib.origin import Origin, echo
from lib.users import demand, users

LISTENERS = 'listeners: ( { name = "lan"; address = "127.0.0.1:0"; } );\n'
CLIENTS = ('clients: ( { action = "allow"; from = "loopback"; '
           'auth = [ "password", "none" ]; } );\n')
RULES = 'rules: ( { action = "allow"; } );\n'
USERS = 'auth: { users_file = "%s"; };\n'

# What is wrong: the text, the line, and what the message must say.
ERRORS = {
    'a login twice': (
        'clients: ( { action = "allow";\n auth = [ "pam", "pam" ]; } );', 2,
        "'pam' stands twice"),
    'no login at all': (
        'clients: ( { action = "allow"; auth = [ ]; } );', 1, 'empty list'),
    'an unknown event': (
        'rules: ( { action = "allow"; log = "connected"; } );', 1,
        "connected.*did you mean 'connect'"),
    'a rate without a time': (
        'rules: ( { action = "allow"; rate = "100"; } );', 1, '100/s'),
    'a rate as a number': (
        'rules: ( { action = "allow"; rate = 100; } );', 1, '100/s'),
    'a rate of nothing': (
        'rules: ( { action = "allow"; rate = "0/s"; } );', 1, 'rate'),
    'a rate in no time': (
        'limits: {\n rate_per_client = "5/0s"; };', 2, 'rate_per_client'),
    'a rate in years': (
        'clients: ( { action = "allow"; rate = "5/400d"; } );', 1, 'rate'),
    'a bandwidth that nothing gets through': (
        'rules: ( { action = "allow"; bandwidth = "9"; } );', 1, 'bandwidth'),
    'a bandwidth of clients': (
        'clients: ( { action = "allow"; bandwidth = "1M"; } );', 1,
        'bandwidth'),
    'a time that is no default': (
        'rules: ( { action = "allow"; idle = "defaults"; } );', 1, 'idle'),
    'no time to connect': (
        'rules: ( { action = "allow"; connect = "0"; } );', 1, 'connect'),
    'groups without a file': (
        LISTENERS + 'rules: (\n { action = "allow"; groups = "a"; } );', 3,
        'groups_file'),
    'an empty user': (
        'rules: ( { action = "allow"; users = [ "a", "" ]; } );', 1, 'users'),
    'a prefix of clients that is too long': (
        'limits: { client_prefix4 = 33; };', 1, 'client_prefix4'),
    'a file without a name': (
        'clients: ( { action = "allow"; from = "@"; } );', 1,
        'names no file'),
    'an unknown form of lines': (
        'log: { access = "dante"; };', 1, "did you mean 'danted'"),
    'a service with a path': (
        'auth: { pam_service = "../passwd"; };', 1, 'pam_service'),
}


@each(*ERRORS)
def test_an_error_is_told_with_its_line(t, what):
    text, line, pattern = ERRORS[what]
    done = check(t, text + '\n')
    same(done.returncode, 1)
    where = f'{done.path}:{line}: '
    assert [x for x in done.err.splitlines() if x.startswith(where) and
            re.search(pattern, x[len(where):])], done.err


# What is taken but warned of; with a file of users who are called joe.
WARNINGS = {
    'users whom nobody asks': (
        'clients: ( { action = "allow"; from = "loopback"; } );\n'
        'rules: ( { action = "allow"; users = "joe"; } );', 3,
        'lets anybody log in'),
    'users who need not say so': (
        'clients: ( { action = "allow"; from = "loopback";\n'
        ' auth = [ "none", "password" ]; } );\n'
        'rules: ( { action = "allow"; users = "joe"; } );', 2,
        'prefers "none".*misses .rule-1. of line 4'),
    'a user who is not there': (
        CLIENTS + 'rules: ( { action = "allow"; users = [ "joe", "eve" ]; } '
        ');', 3, "user 'eve', whom"),
    'users of a protocol without logins': (
        CLIENTS + 'rules: ( { action = "allow"; users = "joe";\n'
        ' protocols = "socks4"; } );', 3, 'not about socks5 or http'),
    'a rule behind one for everybody': (
        CLIENTS + 'rules: ( { action = "allow"; users = "*"; },\n'
        ' { action = "deny"; users = "joe"; } );', 4, 'never matches'),
    'a protocol that is not spoken': (
        CLIENTS + 'rules: ( { action = "allow"; commands = "udp"; '
        'protocols = "socks4"; } );', 3, 'commands.*do not exist'),
    'more of a client than of all': (
        CLIENTS + 'rules: ( { action = "allow"; sessions = 5; '
        'sessions_per_client = 6; } );', 3, 'never reached'),
    'a bandwidth that another one bounds': (
        CLIENTS + 'rules: ( { action = "allow"; bandwidth = "1M"; '
        'bandwidth_session = "2M"; } );', 3, 'never reached'),
    'a bound of who denies': (
        CLIENTS + RULES.replace('( {', '( { action = "deny"; ports = 25; '
                                'rate = "1/s"; }, {'), 3, 'bound nothing'),
    'a helper that is not there': (
        CLIENTS.replace('"none"', '"pam", "none"') + RULES +
        'auth: { helper = "/nonexistent/pam"; users_file = "%s"; };', None,
        'no socket ./nonexistent/pam'),
}


@each(*WARNINGS)
def test_a_likely_mistake_is_warned_of(t, what):
    text, line, pattern = WARNINGS[what]
    if '%s' not in text:
        text += '\n' + USERS
    done = check(t, LISTENERS + text % users(t, {'joe': 'secret'}) + '\n')
    same(done.returncode, 0)
    where = f'{done.path}:{line}: warning: ' if line else \
        f'{done.path}: warning: '
    assert re.search(re.escape(where) + '.*' + pattern, done.err), done.err


# --- Files ------------------------------------------------------------------

# A list, in a `from` or a `to`, and what is said of it.
LISTS = {
    'good': ('to', '# names\nexample.com\n .example.org # all\n\n10.0.0.0/8\n',
             None),
    'good, of clients': ('from', '10.0.0.0/8\n2001:db8::1\n', None),
    'names of clients': ('from', '10.0.0.0/8\nexample.com\n', 2),
    'host bits': ('to', '\n\n10.0.0.1/8\n', 3),
    'no name': ('to', 'a b\n', 1),
    'a keyword': ('from', 'private\n', 1),
    'another file': ('to', '@other\n', 1),
}


@each(*LISTS)
def test_a_check_reads_the_lists(t, what):
    key, text, line = LISTS[what]
    path = t.file('list', text)
    done = check(t, LISTENERS + CLIENTS.replace('"password", ', '') +
                 'rules: ( { action = "allow"; %s = "@%s"; } );' % (key, path))
    same(done.returncode, 1 if line else 0)
    assert (f'{path}:{line}: ' in done.err) == bool(line), done.err


def test_a_list_that_is_missing_is_told_with_who_names_it(t):
    done = check(t, LISTENERS + CLIENTS.replace('"password", ', '') +
                 'rules: (\n { action = "deny"; to = "@nowhere"; },\n'
                 ' { action = "allow"; to = [ "any", "@nowhere" ]; } );')
    same(done.returncode, 1)
    folder = os.path.dirname(done.path)
    assert f"{done.path}:4: the list '{folder}/nowhere' cannot be read: " \
        'No such file or directory (correct the path' in done.err, done.err
    assert ':5: ' not in done.err, done.err


def test_all_files_that_are_wrong_are_told_at_once(t):
    names = {'users': 'joe\n', 'groups': '\nstaff\n', 'list': '\n\n/\n'}
    paths = [t.file(name, text) for name, text in names.items()]
    done = check(t, LISTENERS + CLIENTS +
                 'rules: ( { action = "allow"; to = "@%s"; groups = "staff"; '
                 '} );\n' % paths[2] +
                 'auth: { users_file = "%s"; groups_file = "%s"; };' %
                 tuple(paths[:2]))
    same(done.returncode, 1)
    for line, path in enumerate(paths, 1):
        assert f'{path}:{line}: ' in done.err, done.err


def test_a_daemon_does_not_start_with_a_list_that_is_wrong(t):
    path = t.file('list', '10.0.0.0/8\nwww.example.com\n')
    d = Daemon(t, {'rules': [{'action': 'allow', 'from': '@' + path}]},
               wait=False)
    d.wait_exit(1)
    assert f'{path}:2: ' in d.log(), d.log()


# --- That they hold ---------------------------------------------------------

def test_rules_are_about_users_groups_lists_and_protocols(t):
    o, other = Origin(t, echo), Origin(t, echo)
    file = users(t, {'joe': 'pj', 'ann': 'pa', 'eve': 'pe'})
    groups = t.file('groups', 'staff:x:1:ann\n')
    hosts = t.file('nets', '# ours\n127.0.0.0/8\n')
    change = demand(file, 'password', 'none', groups_file=groups)
    d = Daemon(t, {**change, 'rules': [
        {'action': 'deny', 'users': ['eve']},
        {'name': 'joe', 'action': 'allow', 'users': ['joe'],
         'to': '@' + hosts, 'ports': o.port},
        {'name': 'staff', 'action': 'allow', 'groups': 'staff',
         'to': '@' + hosts},
        {'name': 'web', 'action': 'allow', 'protocols': 'http',
         'to': '@' + hosts, 'ports': other.port}]})

    def code(target, login=None):
        s, reply = socks5_ask(d.address, target, login=login)
        with s:
            assert reply.code != client.SUCCEEDED or echoes(s)
        return reply.code

    same(code(o.target, ('joe', 'pj')), client.SUCCEEDED)
    same(d.wait_access(outcome='closed')['rule'], 'joe')
    same(code(other.target, ('joe', 'pj')), client.DENIED)
    same(code(other.target, ('ann', 'pa')), client.SUCCEEDED)
    same(code(o.target, ('eve', 'pe')), client.DENIED)
    with dial(d.address) as s:
        same(socks5_greet(s, b'\0'), b'\5\xff')
    s, reply = http_ask(d.address, http_request(f'127.0.0.1:{other.port}'))
    with s:
        same(reply.status, 200)
        assert echoes(s)
    s, reply = http_ask(d.address, http_request(f'127.0.0.1:{o.port}'))
    with s:
        # Who logs in as joe may.
        same(reply.status, 407)
        read_all(s)


def test_what_is_dumped_loads_from_anywhere(t):
    """Lists beside the file are still those when the dump lies elsewhere."""
    t.file('nets', '127.0.0.0/8\n')
    path = t.file('main.conf', LISTENERS + CLIENTS.replace(
        '"password", ', '') + 'rules: ( { action = "allow"; from = "@nets"; '
        'rate = "60/60s"; idle = "0"; log = [ ]; users = "-"; } );\n')
    # Relative, as it may be written on a command line.
    done = once(t, '--config', os.path.relpath(path), '--dump')
    same((done.returncode, done.err), (0, ''))
    folder = os.path.dirname(path)
    for line in (f'from = "@{folder}/nets";', 'rate = "60/m";',
                 'idle = "0";', 'log = [ ];', 'users = "-";',
                 'connect = "default";  # default'):
        assert f'\t{line}\n' in done.out, f'{line}: {done.out}'
    os.mkdir(t.path('elsewhere'))
    again = check(t, done.out)
    same((again.returncode, again.err), (0, ''))
    moved = t.file('elsewhere/main.conf', done.out)
    done = once(t, '--config', moved, '--check')
    same((done.returncode, done.err), (0, ''))
