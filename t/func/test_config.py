"""Errors in the configuration file: each is found, at its line."""
import re

from lib import client, conf
from lib.case import each, same
from lib.daemon import Daemon, check
from lib.origin import Origin, echo

LISTENERS = 'listeners: ( { name = "lan"; address = "127.0.0.1:0"; } );\n'

# What is wrong: the text, the line, and what the message must say.
ERRORS = {
    'unknown key': ('wrokers = 2;', 1, 'wrokers.*workers'),
    'unknown key in a group': (
        'timeouts: {\n  idel = "1h";\n};', 2, 'idel.*idle'),
    'unknown key in a list': (
        'rules: (\n  { action = "allow"; form = "any"; }\n);', 2,
        'form.*from'),
    'unknown group': ('limit: { connections = 5; };', 1, 'limits'),
    'text for a number': ('workers = "two";', 1, 'workers'),
    'number for a text': ('\nuser = 5;', 2, 'user'),
    'fraction for a number': ('workers = 1.5;', 1, 'workers'),
    'bool for a number': ('workers = true;', 1, 'workers'),
    'number for a bool': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0";\n'
        ' nodelay = 1; } );', 2, 'nodelay'),
    'scalar for a group': ('timeouts = 5;', 1, 'timeouts'),
    'group for a list': ('rules: { action = "allow"; };', 1, 'rules'),
    'scalar in a list of groups': ('rules: ( 5 );', 1, 'rules'),
    'negative number': ('workers = -1;', 1, 'workers'),
    'too many workers': ('workers = 100000;', 1, 'workers'),
    'number over 32 bits without L': (
        'workers = 5000000000;', 1, '5000000000'),
    '2 to the 32nd': ('\n\nworkers = 4294967296;', 3, '4294967296'),
    'duration without unit word': (
        'timeouts: { idle = "1 fortnight"; };', 1, 'idle'),
    'negative duration': ('timeouts: { idle = "-1s"; };', 1, 'idle'),
    'endless duration': (
        'timeouts: { idle = "999999999999999999h"; };', 1, 'idle'),
    'no duration at all': ('timeouts: { idle = ""; };', 1, 'idle'),
    'bad size': ('limits: { buffers = "64X"; };', 1, 'buffers'),
    'unknown level': ('log: { level = "loud"; };', 1, 'loud'),
    'unknown access': ('log: { access = "xml"; };', 1, 'xml'),
    'unknown target': ('log: { target = "nowhere"; };', 1, 'nowhere'),
    'relative log file': ('log: { target = "file:x.log"; };', 1, 'x.log'),
    'listener without address': (
        '\nlisteners: ( { name = "a"; } );', 2, 'address'),
    'listener without name': (
        'listeners: ( { address = "127.0.0.1:0"; } );', 1, 'name'),
    'address without port': (
        'listeners: (\n { name = "a"; address = "127.0.0.1"; } );', 2,
        '127.0.0.1'),
    'address that is none': (
        'listeners: ( { name = "a";\n address = [ "127.0.0.1:0",\n'
        ' "300.0.0.1:80" ]; } );', None, '300.0.0.1:80'),
    'port too high': (
        'listeners: ( { name = "a"; address = "127.0.0.1:65536"; } );', 1,
        '65536'),
    'unknown protocol': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0";\n'
        ' protocols = [ "socks5", "gopher" ]; } );', 2, 'gopher'),
    'two listeners of one name': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0"; },\n'
        ' { name = "a"; address = "127.0.0.2:0"; } );', 2, 'a'),
    'one address twice': (
        'listeners: ( { name = "a"; address = "127.0.0.1:1080"; },\n'
        ' { name = "b"; address = "127.0.0.1:1080"; } );', 2, '1080'),
    'unknown listener in clients': (
        'listeners: ( { name = "lan"; address = "127.0.0.1:0"; } );\n'
        'clients: ( { action = "allow"; listener = "lam"; } );', 2,
        'lam'),
    'unknown action': (
        'rules: ( { action = "permit"; } );', 1, 'permit'),
    'missing action': ('rules: (\n { to = "any"; } );', 2, 'action'),
    'bad prefix': (
        'rules: ( { action = "deny"; to = "10.0.0.0/33"; } );', 1,
        '10.0.0.0/33'),
    'prefix with host bits': (
        'clients: ( { action = "allow"; from = "10.1.2.3/8"; } );', 1,
        '10.1.2.3/8'),
    'name in from': (
        'clients: ( { action = "allow"; from = "host.example"; } );', 1,
        'host.example'),
    'unknown keyword': (
        'clients: ( { action = "allow"; from = "lopback"; } );', 1,
        'lopback'),
    'bad port': (
        'rules: ( { action = "deny"; ports = [ "70000" ]; } );', 1,
        '70000'),
    'port range upside down': (
        'rules: ( { action = "deny"; ports = [ "200-100" ]; } );', 1,
        '200-100'),
    'unknown command': (
        'rules: ( { action = "deny"; commands = [ "dance" ]; } );', 1,
        'dance'),
    'a password without users': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0"; } );\n'
        'clients: (\n { action = "allow"; auth = "password"; } );', 3,
        'users_file'),
    'unknown login': (
        'clients: ( { action = "allow"; auth = "kerberos"; } );', 1,
        'kerberos'),
    'empty user id': (
        'clients: ( { action = "allow";\n userid = [ "joe", "" ]; } );', 2,
        'userid'),
    'a source with host bits': (
        'outbound: {\n source = "2001:db8::1/64"; };', 2,
        '2001:db8::/64 or 2001:db8::1/128'),
    'an IPv4 prefix as source': (
        'outbound: { source = "192.0.2.0/24"; };', 1, 'IPv6'),
    'a source with a port': (
        'outbound: { source = "192.0.2.1:80"; };', 1, 'port'),
    'unknown rotation': ('outbound: { rotate = "daily"; };', 1, 'daily'),
    'two addresses of one family for UDP': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0";\n'
        ' udp_address = [ "192.0.2.1",\n "192.0.2.2" ]; } );', 3,
        'one family'),
    'a name for UDP': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0";\n'
        ' udp_address = "proxy.example"; } );', 2, 'proxy.example'),
    'two ranges of ports for UDP': (
        'listeners: ( { name = "a"; address = "127.0.0.1:0";\n'
        ' udp_ports = [ "1-2", "4-5" ]; } );', 2, 'at most 1'),
    'ports for BIND upside down': (
        'outbound: { bind_ports = "200-100"; };', 1, '100-200'),
    'a relative users file': ('auth: { users_file = "users"; };', 1, 'users'),
    'a search domain that is none': (
        'names: { search = [ "a", "b..c" ]; };', 1, r'b\.\.c'),
    'no search and a domain': (
        'names: { search = [ "a", "." ]; };', 1, 'stands alone'),
    'too many dots': ('names: { ndots = 16; };', 1, 'ndots'),
    'unknown order': ('names: { order = "ipv6"; };', 1, 'ipv6-first'),
    'unknown source check': ('udp: { source = "lax"; };', 1, 'lax'),
    'a buffer that is too small': ('udp: { buffer = "1k"; };', 1, 'buffer'),
    'no time for BIND': ('timeouts: { bind = "0"; };', 1, 'bind'),
    'too many associations': (
        'limits: { udp_associations = 1000001; };', 1, 'udp_associations'),
    'bad preference': ('outbound: { prefer = "ipv5"; };', 1, 'ipv5'),
    'bad name server': (
        'names: { servers = [ "ns.example" ]; };', 1, 'ns.example'),
    'zero handshake time': (
        'timeouts: { handshake = "0"; };', 1, 'handshake'),
}


@each(*ERRORS)
def test_an_error_is_told_with_its_line(t, what):
    text, line, pattern = ERRORS[what]
    done = check(t, text + '\n')
    said = done.out + done.err
    assert done.returncode == 1, f'status {done.returncode}: {said}'
    where = f'{done.path}:{line}: ' if line else f'{done.path}:'
    found = [x for x in said.splitlines() if x.startswith(where) and
             re.search(pattern, x[len(where):])]
    assert found, said


@each('rules: ( { action = "allow" ', 'workers = ;', 'workers 2', '@',
      '"', 'workers = 2; }', '/* never ends')
def test_a_syntax_error_is_told_with_its_line(t, text):
    done = check(t, '# first\n' + text + '\n')
    said = done.out + done.err
    assert done.returncode == 1, said
    assert re.search(re.escape(done.path) + r':\d+: ', said), said


LOGINS = ('listeners: ( { name = "lan"; address = "127.0.0.1:0"; '
          'protocols = "socks5"; } );\n'
          'clients: ( { action = "allow"; from = "loopback"; '
          'auth = "password"; } );\n'
          'rules: ( { action = "allow"; } );\n'
          'auth: { users_file = "%s"; };\n')


# A file of users, and what is said of it.
USERS = {
    'good': ('joe:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0\n', None),
    'empty': ('# nobody yet\n', None),
    'a password in the clear': ('joe:secret\n', ':1: '),
    'no hash': ('\n\njoe\n', ':3: '),
    'missing': (None, ': cannot be read'),
}


@each(*USERS)
def test_a_check_reads_the_users(t, what):
    users, wrong = USERS[what]
    path = t.path('users') if users is None else t.file('users', users)
    done = check(t, LOGINS % path)
    said = done.out + done.err
    same(done.returncode, 1 if wrong else 0)
    assert (path + (wrong or '') in said) == bool(wrong), said
    assert 'secret' not in said, said


# What is taken but warned of: the text, the line, and what is said.
WARNINGS = {
    'protocols that cannot log in': (
        LOGINS.replace('"socks5"', '[ "socks5", "socks4", "http" ]'), 1,
        'socks4, but.*must log in'),
    'users whom nobody asks for': (
        LOGINS.replace('"password"', '"none"'), None, 'nobody is asked'),
    'sources of which one is used': (
        LISTENERS + 'outbound: { source = [ "127.0.0.1", "127.0.0.2" ]; };',
        None, 'only the first'),
    'nothing to rotate': (
        LISTENERS + 'outbound: { rotate = "per-client"; };', None,
        'rotate.*nothing'),
    'user ids without SOCKS4': (
        'listeners: ( { name = "lan"; address = "127.0.0.1:0"; '
        'protocols = "http"; } );\n'
        'clients: (\n { action = "allow"; userid = "joe"; } );', 3,
        'socks4'),
    'UDP without SOCKS5': (
        'listeners: ( { name = "lan"; address = "127.0.0.1:0"; '
        'protocols = "http";\n udp_ports = "4000-5000"; } );', 1, 'socks5'),
    'a rule behind one for all commands': (
        LISTENERS + 'rules: ( { action = "allow"; },\n'
        ' { action = "deny"; commands = "udp"; } );', 3, 'never matches'),
}


@each(*WARNINGS)
def test_a_likely_mistake_is_warned_of(t, what):
    text, line, pattern = WARNINGS[what]
    if '%s' in text:
        text = text % t.file('users', '')
    done = check(t, text + '\n')
    same(done.returncode, 0)
    where = f'{done.path}:{line}: warning: ' if line else \
        f'{done.path}: warning: '
    assert re.search(re.escape(where) + '.*' + pattern, done.err), done.err


def test_a_rule_for_one_command_hides_no_other(t):
    done = check(t, LISTENERS + 'clients: ( { action = "allow"; } );\n'
                 'rules: ( { action = "deny"; commands = "bind"; },\n'
                 ' { action = "allow"; } );\n')
    same((done.returncode, done.err), (0, ''))


def test_the_same_key_twice_is_an_error(t):
    done = check(t, 'workers = 1;\nworkers = 2;\n')
    same(done.returncode, 1)
    assert f'{done.path}:2: ' in done.out + done.err


def test_all_errors_are_told_at_once(t):
    done = check(t, 'wrokers = 2;\nuser = 5;\n'
                 'timeouts: { idel = "1h"; connect = "x"; };\n'
                 'rules: ( { action = "permit"; },\n'
                 ' { action = "deny"; to = "10.0.0.0/99"; } );\n')
    said = done.out + done.err
    same(done.returncode, 1)
    for line, word in ((1, 'wrokers'), (2, 'user'), (3, 'idel'),
                       (3, 'connect'), (4, 'permit'), (5, '10.0.0.0/99')):
        assert re.search(re.escape(f'{done.path}:{line}: ') + '.*' +
                         re.escape(word), said), (line, word, said)


def test_included_files_are_found_beside_the_main_one(t):
    t.folder('sub')
    t.file('sub/rules.conf', 'rules: ( { action = "allow"; to = [ "any", '
           '"loopback" ]; } );\n')
    conf_text = conf.render(conf.merge({'rules': None}))
    path = t.file('sub/main.conf', conf_text + '@include "rules.conf"\n')
    d = Daemon(t, file=False, args=['--config', path], cwd='/')
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        assert client.echoes(s)


def test_an_error_in_an_included_file_names_that_file(t):
    path = t.file('part.conf', '\n\nwrokers = 2;\n')
    done = check(t, 'user = "nobody";\n@include "part.conf"\n')
    same(done.returncode, 1)
    assert f'{path}:3: ' in done.out + done.err


def test_an_included_file_that_is_missing_is_an_error(t):
    done = check(t, '@include "no-such.conf"\n')
    same(done.returncode, 1)
    assert 'no-such.conf' in done.out + done.err


def test_comments_and_either_assignment_are_fine(t):
    done = check(t, '# one\n// two\n/* three\n */\nworkers : 2;\n'
                 'timeouts = { idle = "90s"; };\n' + LISTENERS)
    assert done.returncode == 0, done.err


@each('0', '500ms', '90s', '2m', '1h', '1d')
def test_durations_have_units(t, text):
    done = check(t, f'timeouts: {{ session = "{text}"; }};\n' + LISTENERS)
    assert done.returncode == 0, done.err


@each('90', '1h30m', '1.5s', 's', ' 5s', '5 s', '5S')
def test_anything_else_is_no_duration(t, text):
    done = check(t, f'timeouts: {{ session = "{text}"; }};\n')
    same(done.returncode, 1)
    assert f'{done.path}:1: ' in done.out + done.err


@each('65536k', '64M', '1G', '67108864')
def test_sizes_have_units(t, text):
    done = check(t, f'limits: {{ buffers = "{text}"; }};\n' + LISTENERS)
    assert done.returncode == 0, done.err


def test_the_sample_is_a_good_configuration(t):
    here = __file__.rsplit('/', 3)[0]
    with open(here + '/conf/spliced.conf', encoding='utf-8') as f:
        done = check(t, f.read())
    assert done.returncode == 0, done.err


def test_the_sample_refuses_mail(t):
    here = __file__.rsplit('/', 3)[0]
    with open(here + '/conf/spliced.conf', encoding='utf-8') as f:
        sample = f.read()
    # As it ships, but for its user, whom only the package makes.
    sample = re.sub(r'(?m)^user\b.*', 'user = "nobody";', sample)
    path = t.file('sample.conf', sample)
    d = Daemon(t, file=False,
               args=['--config', path, '--listen', '127.0.0.1:0'])
    s, reply = client.socks5_ask(d.address, ('192.0.2.1', 25))
    with s:
        assert reply.code == client.DENIED, reply
