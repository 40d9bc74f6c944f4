"""The access log: its formats, and which events of a session each rule asks
for."""
import json
import os
import re

from lib import client, conf
from lib.case import each, eventually, same, valgrind
from lib.client import echoes, socks5_ask, socks5_greet, tunnel
from lib.daemon import Daemon
from lib.dns import DnsServer
from lib.origin import Origin, echo, unused_port
from lib.udp import Association, Echo
from lib.users import demand, users

ALL = ['connect', 'disconnect', 'error']
NONE = conf.Raw('[ ]')
STAMP = r'[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \(\d{10}\.\d{6}\) '
HEAD = r'(?m)^' + STAMP + r'danted\[\d+\]: '


def log_file(t, access, **changes):
    """Changes that write the log to a file, and the path of that."""
    path = os.path.join(t.folder('log', 'nobody'), 'spliced.log')
    return path, {'log': {'target': 'file:' + path, 'access': access},
                  **changes}


def content(path):
    with open(path, encoding='ascii') as f:
        return f.read()


def wait_lines(path, pattern, count=1):
    return eventually(
        lambda: (f := re.findall(pattern, content(path)))[count - 1:] and f,
        said=lambda: f'{count} of {pattern!r} in {content(path)[-2000:]}')


def objects(path):
    return [json.loads(line) for line in content(path).splitlines()]


def events(d):
    """The events that were told, one letter each, in no order."""
    return ''.join(sorted(re.findall(r'access event=(.)', d.log())))


# --- Events -----------------------------------------------------------------

def decided(t, log, **changes):
    return Daemon(t, {'rules': [
        conf.deny(name='no-mail', ports=['25'], log=log),
        conf.allow(name='rest', log=log)], **changes})


def one_of_each(t, d):
    """A tunnel, a denial, a refusal; then one that is always told."""
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    socks5_ask(d.address, ('127.0.0.1', 25))[0].close()
    socks5_ask(d.address, ('127.0.0.1', unused_port()))[0].close()
    d.wait_rest()
    d.stop()


@each((ALL, 'cdee'), (['connect'], 'c'), (['disconnect'], 'd'),
      (['error'], 'ee'), (NONE, ''))
def test_a_rule_says_what_is_told(t, case):
    log, told = case
    d = decided(t, log)
    one_of_each(t, d)
    same(events(d), told)


def test_the_default_is_ends_and_errors(t):
    d = decided(t, None)
    one_of_each(t, d)
    same(events(d), 'dee')


def test_a_beginning_is_told_when_it_begins(t):
    d = decided(t, 'connect')
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        d.wait_log(r' access event=connect client=127\.0\.0\.1:'
                   rf'{s.getsockname()[1]} .* rule=rest\n')
        assert echoes(s)


def test_what_no_rule_decided_is_the_clients_matter(t):
    quiet = {'action': 'allow', 'from': '127.0.0.1', 'log': NONE}
    loud = {'action': 'allow', 'from': '::1', 'log': ALL, 'name': 'loud'}
    d = Daemon(t, {'clients': [quiet, loud],
                   'rules': [conf.allow(ports=['1'], name='one')]})
    for host in ('127.0.0.1', '::1'):
        # Not a request, and one that no rule allows.
        with client.dial(d.at(host)) as s:
            s.sendall(b'\5\1\0\5\1\0\1')
        socks5_ask(d.at(host), (host, 2))[0].close()
    d.wait_rest()
    d.stop()
    same(sorted(f['outcome'] for f in d.access()),
         ['client-left', 'denied'])
    same({f['client_rule'] for f in d.access()}, {'loud'})


def test_broken_tunnels_are_errors_as_well(t):
    d = decided(t, 'error')
    o = Origin(t, echo)
    s = tunnel(d.address, o.target)
    client.reset(s)
    line = d.wait_access(outcome='client-reset')
    same((line['event'], line['rule']), ('disconnect', 'rest'))


def test_udp_and_bind_begin_too(t):
    d = Daemon(t, {'clients': [{'action': 'allow', 'from': 'any', 'log': ALL}],
                   'rules': [conf.allow(log=ALL)]})
    e = Echo(t)
    u = Association(t, d.address)
    d.wait_log(r'access event=connect .*command=udp ')
    assert u.echoes(e.target)
    u.close()
    d.wait_log(r'access event=disconnect .*command=udp ')


# --- JSON -------------------------------------------------------------------

NAMES = (b'a b', b'a=b', b'a"b', b'a\\b', b'a\nb', b'a\x1b[31mb', b'\xff\xfe',
         'zoë'.encode(), b'a\0b', b'"}\n{"event":"forged"}\n')


@valgrind
def test_every_line_is_an_object(t):
    names = DnsServer(t)
    path, changes = log_file(t, 'json',
                             names={'servers': [names.address]},
                             rules=[conf.allow(name='rest', log=ALL)])
    d = Daemon(t, changes)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, b'x' * 777)
        me = s.getsockname()
    for name in NAMES:
        socks5_ask(d.address, (name, 80), as_name=True)[0].close()
    wait_lines(path, '"event":"error"', len(NAMES))
    d.stop()
    told = objects(path)
    for line in told:
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z',
                            line['time']), line
        same('message' in line, line['level'] != 'info')
    ready = [f for f in told if f.get('event') == 'ready']
    assert ready[0]['message'].startswith('spliced is ready on '), ready
    assert [f for f in told if f.get('event') == 'ended'], told
    end = [f for f in told if f.get('event') == 'disconnect']
    same(len(end), 1)
    same({k: v for k, v in end[0].items() if k not in (
        'time', 'bound', 'duration')},
        {'level': 'info', 'event': 'disconnect',
         'client': f'127.0.0.1:{me[1]}', 'listener': 'lan',
         'protocol': 'socks5', 'command': 'connect',
         'target': f'127.0.0.1:{o.port}', 'client_rule': 'client-1',
         'rule': 'rest', 'up': 777, 'down': 777, 'outcome': 'closed'})
    same(type(end[0]['duration']), float)
    same([f['target'] for f in told if f.get('event') == 'connect'],
         [f'127.0.0.1:{o.port}'])
    assert not [f for f in told if f.get('event') == 'forged']


def test_a_plain_name_is_told_in_json(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    path, changes = log_file(t, 'json', names={'hosts': hosts})
    d = Daemon(t, changes)
    socks5_ask(d.address, ('target.example', unused_port()))[0].close()
    wait_lines(path, '"outcome":"refused"')
    line = [f for f in objects(path) if f.get('outcome') == 'refused'][0]
    assert line['target'].startswith('target.example:'), line
    assert line['address'].startswith('127.0.0.1:'), line
    same((line['event'], line['error']), ('error', 'ECONNREFUSED'))


# --- danted -----------------------------------------------------------------

@valgrind
def test_lines_are_danteds(t):
    path, changes = log_file(
        t, 'danted', listeners=[conf.listener(address=['127.0.0.1:0'])],
        clients=[{'action': 'deny', 'from': '127.0.0.9', 'log': ALL},
                 {'action': 'allow', 'from': 'any', 'log': ALL}],
        rules=[conf.deny(ports=['25'], log=ALL), conf.allow(log=ALL)])
    d = Daemon(t, changes)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, b'12345')
        me = re.escape('%s.%d' % s.getsockname())
    there = re.escape('127.0.0.1.%d' % o.port)
    own = r'127\.0\.0\.1\.\d+'
    wait_lines(path, HEAD + rf'info: pass\(2\): tcp/connect \[: {me} {own} -> '
                            rf'{own} {there}$')
    wait_lines(path, HEAD + rf'info: pass\(2\): tcp/connect \]: 5 -> {me} '
                            rf'{own} -> 5, 5 -> {own} {there} -> 5: remote '
                            r'peer closed\.  Session duration: \ds$')
    socks5_ask(d.address, ('127.0.0.1', 25))[0].close()
    wait_lines(path, HEAD + rf'info: block\(1\): tcp/connect \]: {own} {own} '
                            r'-> 0\.0\.0\.0\.0 127\.0\.0\.1\.25$')
    socks5_ask(d.address, ('127.0.0.1', unused_port()))[0].close()
    wait_lines(path, HEAD + rf'info: pass\(2\): tcp/connect \]: 0 -> {own} '
                            rf'{own} -> 0, 0 -> \S+ {own} -> 0: remote peer '
                            r'error \(Connection refused\)\.  Session')
    with client.dial(d.address, source='127.0.0.9') as s:
        same(client.read_all(s), b'')
    wait_lines(path, HEAD + r'info: block\(1\): tcp/accept \]: '
                            rf'127\.0\.0\.9\.\d+ {own}$')
    d.stop()
    for line in content(path).splitlines():
        assert re.match(HEAD + r'(info|notice|warning): ', line), line


def test_danteds_stamps_are_in_local_time(t):
    path, changes = log_file(t, 'danted')
    Daemon(t, changes, env={'TZ': 'XXX-5:30'})
    stamp, second = wait_lines(
        path, r'(?m)^(\w+ [ \d]\d [\d:]+) \((\d+)\.\d{6}\) danted\[\d+\]: '
              'notice: spliced is ready on ')[0]
    day = (int(second) + 19800) % 86400
    same(stamp[7:], f'{day // 3600:02}:{day // 60 % 60:02}:{day % 60:02}')


def test_a_login_stands_in_front_of_the_client(t):
    path, changes = log_file(t, 'danted', **demand(
        users(t, {'alice': 'secret'})))
    d = Daemon(t, changes)
    o = Origin(t, echo)
    s, _ = socks5_ask(d.address, o.target, login=('alice', 'secret'))
    with s:
        assert echoes(s)
    wait_lines(path, HEAD + r'info: pass\(1\): tcp/connect \]: 4 -> '
                            r'username%alice@127\.0\.0\.1\.\d+ ')


def test_a_hostile_name_is_no_line_of_its_own(t):
    names = DnsServer(t)
    path, changes = log_file(t, 'danted', names={'servers': [names.address]})
    d = Daemon(t, changes)
    forged = b'x"\ninfo: block(1): tcp/accept ]: 192.0.2.66.1 0.0.0.0.1080:'
    socks5_ask(d.address, (forged, 80), as_name=True)[0].close()
    with client.dial(d.address) as s:
        same(socks5_greet(s, b'\2'), b'\5\xff')
    wait_lines(path, HEAD + r'info: block\(1\): tcp/accept \]: \S+ \S+: error '
                            r'after reading \d+ bytes in \d+ seconds: client '
                            r'offered no acceptable authentication method$')
    assert not re.search(r'(^|\s)192\.0\.2\.66', content(path)), content(path)
