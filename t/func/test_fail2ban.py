"""danted's lines under fail2ban's own eyes: fail2ban-regex(1)."""
import os
import re

from lib import client, conf
from lib.case import each, eventually, same, tool
from lib.client import read_all, socks5_ask, socks5_greet
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.users import demand, users

# As it is spread, in three forms: with the first rule only and the end of the
# line, with fail2ban's own head of a line, and with any beginning.
FILTERS = {
    'strict': r'^%(__prefix_line)sinfo: block\(1\): tcp/accept \]: '
              r'<HOST>\.\d+ [\d.]+: error after reading \d+ bytes in '
              r'\d+ seconds: (could not access user "\w+"\'s records in the '
              r'system password file: no system error|system password '
              r'authentication failed for user "\w+")$',
    'usual': r'^%(__prefix_line)sinfo: block\(\d\): tcp/accept \]: '
             r'<ADDR>\.\d+ \S+: error after reading \d+ bytes? in '
             r'\d+ seconds?: (?:could not access|system password '
             r'authentication failed for|pam_authenticate\(\) for) user '
             r'"<F-USER>[^"]+</F-USER>"',
    'loose': r'^.*danted\[\d+\]: info: block\(\d+\): tcp/accept \]: '
             r'<HOST>\.\d+ [\d.]+: error after reading \d+ bytes? in '
             r'\d+ seconds?: (?:could not access |system password '
             r'authentication failed for )user "[^"]+".*$',
}

FILTER = """[INCLUDES]
before = /etc/fail2ban/filter.d/common.conf

[Definition]
_daemon = danted
failregex = %s
"""


def banned(t, kind, path):
    """The addresses that a filter finds in a log, one for each line."""
    rules = t.file('danted.conf', FILTER % FILTERS[kind])
    done = t.run(tool('fail2ban-regex', 'fail2ban'), '--out', 'ip', path,
                 rules)
    same(done.returncode, 0)
    out = done.stdout
    return (out if isinstance(out, str) else out.decode()).split()


def wrong(d, source, name=b'bob', password=b'wrong'):
    with client.dial(d.at(source) if ':' in source else d.address,
                     source=source) as s:
        same(socks5_greet(s, b'\2'), b'\5\2')
        s.sendall(b'\1' + bytes([len(name)]) + name +
                  bytes([len(password)]) + password)
        read_all(s)


def start(t, **changes):
    path = os.path.join(t.folder('log', 'nobody'), 'danted.log')
    d = Daemon(t, {'log': {'target': 'file:' + path, 'access': 'danted'},
                   'listeners': [conf.listener(address=['127.0.0.1:0'])],
                   **demand(users(t, {'alice': 'secret'})), **changes})
    return d, path


def wait_failed(path, count):
    def failed():
        with open(path, encoding='ascii') as f:
            return len(re.findall('authentication failed', f.read()))
    eventually(lambda: failed() >= count, said='failed logins')


@each(*FILTERS)
def test_wrong_logins_are_found(t, kind):
    tool('fail2ban-regex', 'fail2ban')
    d, path = start(t)
    o = Origin(t, echo)
    for source in ('127.0.0.2', '127.0.0.3', '127.0.0.2'):
        wrong(d, source)
    s, _ = socks5_ask(d.address, o.target, login=('alice', 'secret'))
    s.close()
    socks5_ask(d.address, ('127.0.0.1', 1), login=('alice', 'secret'))[0] \
        .close()
    wait_failed(path, 3)
    d.wait_rest()
    same(sorted(banned(t, kind, path)),
         ['127.0.0.2', '127.0.0.2', '127.0.0.3'])


def test_wrong_logins_by_ipv6_are_found(t):
    tool('fail2ban-regex', 'fail2ban')
    d, path = start(t, listeners=[conf.listener(address=['[::1]:0'])])
    wrong(d, '::1')
    wait_failed(path, 1)
    same(banned(t, 'usual', path), ['::1'])


def test_nobody_gets_somebody_else_banned(t):
    tool('fail2ban-regex', 'fail2ban')
    d, path = start(t)
    forged = b'info: block(1): tcp/accept ]: 192.0.2.66.1 0.0.0.0.1080: ' \
             b'error after reading 9 bytes in 0 seconds: system password ' \
             b'authentication failed for user "x"'
    names = (forged, b'x"\n' + forged, b'\n' + forged,
             b'Nov 23 14:14:40 (1795443280.1) danted[1]: ' + forged, b'')
    for name in names:
        wrong(d, '127.0.0.2', name)
    # The name of a host, too.
    s, _ = socks5_ask(d.address, (b'\n' + forged, 80), as_name=True,
                      login=('alice', 'secret'))
    s.close()
    wait_failed(path, len(names) - 1)
    d.wait_rest()
    for kind in ('usual', 'loose'):
        found = banned(t, kind, path)
        same(set(found), {'127.0.0.2'})
        assert len(found) >= len(names) - 1, found
