"""What --check and --dump say of listeners, certificates and parents."""
import re

from lib.case import each, same
from lib.daemon import check, once
from lib.tls import Certificate

LISTENERS = 'listeners: ( { name = "lan"; address = "127.0.0.1:0"; } );\n'
CLIENTS = 'clients: ( { action = "allow"; from = "loopback"; } );\n'
RULES = 'rules: ( { action = "allow"; } );\n'
REST = CLIENTS + RULES
PARENT = 'upstreams: ( { name = "paris"; url = "%s"; } );\n'
BY_PARENT = 'rules: ( { action = "allow"; upstream = "paris"; } );\n'


def listener(said):
    return ('listeners: ( { name = "lan"; address = "127.0.0.1:0";\n '
            f'{said} }} );\n')


# What is wrong: the text, the line, and what the message must say.
ERRORS = {
    'unknown certificates': (
        listener('tls = "edge";') + REST, 2, "no entry 'edge' in 'tls'"),
    'forward to nowhere': (
        listener('protocols = "forward";') + REST, 1, "no 'target'"),
    'forward beside another': (
        listener('protocols = [ "forward", "http" ]; target = "a:1";') + REST,
        1, "'forward' stands alone"),
    'a target without a port': (
        listener('protocols = "forward"; target = "a";') + REST, 2,
        "'a' has no port"),
    'a mode that is none': (
        listener('mode = "0999";') + REST, 2, '0600 to 0777'),
    'a mode as a number': (
        listener('mode = 600;') + REST, 2, 'octal digits in quotes'),
    'a socket without a path': (
        'listeners: ( { name = "lan"; address = "unix:x"; } );\n' + REST, 1,
        'names no socket'),
    'headers of a file': (
        listener('proxy_protocol = "@file";') + REST, 2,
        'no address, prefix or keyword'),
    'a login by no certificate': (
        LISTENERS + RULES +
        'clients: ( { action = "allow"; auth = "certificate"; } );', 3,
        "no listener of it has a 'tls' with a 'client_ca'"),
    'an unknown parent': (
        LISTENERS + CLIENTS + BY_PARENT, 3, "no entry 'paris'"),
    'an unknown scheme': (
        LISTENERS + REST + PARENT % 'ftp://me:secret@a', 4,
        "'ftp' is no parent's scheme"),
    'a parent without a port': (
        LISTENERS + REST + PARENT % 'http://me:secret@a', 4,
        "'a' has no port"),
    'a forgotten at': (
        LISTENERS + REST + PARENT % 'socks5://me:secret', 4,
        'no host and port'),
    'names for who takes none': (
        LISTENERS + CLIENTS + BY_PARENT +
        'upstreams: ( { name = "paris"; url = "socks4://a"; '
        'resolve = "remote"; } );', 4, 'socks4a://a:1080'),
}


@each(*ERRORS)
def test_an_error_is_told_with_its_line(t, what):
    text, line, pattern = ERRORS[what]
    done = check(t, text + '\n')
    same(done.returncode, 1)
    same(len(done.err.splitlines()), 1)
    assert done.err.startswith(f'{done.path}:{line}: '), done.err
    assert re.search(pattern, done.err), done.err
    assert 'secret' not in done.err, done.err


WARNINGS = {
    'certificates that nobody uses': (
        'tls: ( { name = "edge"; certificate = "%s"; } );\n' + LISTENERS +
        REST, 1, 'of no use'),
    'a parent that nobody uses': (
        LISTENERS + REST + PARENT % 'socks5://a', 4, 'of no use'),
    'a denial that a name passes': (
        LISTENERS + CLIENTS + PARENT % 'socks5h://a' +
        'rules: ( { name = "inner"; action = "deny"; to = "private"; },\n'
        ' { action = "allow"; upstream = "paris"; } );', 5,
        "what 'inner' of line 4 denies by address passes by a name"),
    'headers of everybody': (
        'listeners: ( { name = "lan"; address = "0.0.0.0:0";\n '
        'proxy_protocol = "any"; } );\n' + REST, 1, 'any address'),
}


@each(*WARNINGS)
def test_a_likely_mistake_is_warned_of(t, what):
    text, line, pattern = WARNINGS[what]
    if '%s' in text:
        text = text % joined(t)
    done = check(t, text + '\n')
    same((done.returncode, len(done.err.splitlines())), (0, 1))
    assert done.err.startswith(f'{done.path}:{line}: warning: '), done.err
    assert re.search(pattern, done.err), done.err


def joined(t):
    """A certificate with its key in one file."""
    c = Certificate(t)
    text = ''
    for path in (c.path, c.key):
        with open(path, encoding='ascii') as f:
            text += f.read()
    return t.file('joined.pem', text)


def test_a_dump_hides_passwords(t):
    path = t.file('dumped.conf', LISTENERS + CLIENTS + BY_PARENT +
                  PARENT % 'https://me%40office:secret@a.example:444')
    done = once(t, '--config', path, '--dump')
    same((done.returncode, done.err), (0, ''))
    assert 'url = "https://***:***@a.example:444";' in done.out, done.out
    assert 'secret' not in done.out and 'office' not in done.out, done.out
    again = check(t, done.out)
    same(again.returncode, 0)
    assert '"***", as --dump hides them' in again.err, again.err


LOGINS = {
    'good': ('me:s:e crét\n', None),
    'no line end': ('me:secret', None),
    'empty': ('', ':1: the user is empty'),
    'no password': ('secret\n', ':1: there is a user but no password'),
    'two lines': ('me:secret\nyou:secret\n', ':1: .*control characters'),
    'too long': ('me:' + 'secret' * 50 + '\n', ':1: .*more than 255 bytes'),
    'missing': (None, "' cannot be read"),
}


@each(*LOGINS)
def test_a_check_reads_logins_of_parents(t, what):
    text, wrong = LOGINS[what]
    path = t.path('login') if text is None else t.file('login', text)
    done = check(t, LISTENERS + CLIENTS + BY_PARENT +
                 'upstreams: ( { name = "paris"; url = "socks5://a";\n'
                 f' credentials_file = "{path}"; }} );\n')
    same(done.returncode, 1 if wrong else 0)
    assert 'secret' not in done.out + done.err, done.err
    if wrong:
        assert re.search(re.escape(path) + wrong, done.err), done.err


def test_a_check_reads_whom_parents_certificates_are_signed_by(t):
    path = t.file('ca.pem', 'nothing\n')
    done = check(t, LISTENERS + CLIENTS + BY_PARENT +
                 'upstreams: ( { name = "paris"; url = "https://a";\n'
                 f' tls_ca = "{path}"; }} );\n')
    same(done.returncode, 1)
    assert re.search(rf"{re.escape(done.path)}:4: upstream 'paris': .*ca\.pem",
                     done.err), done.err
