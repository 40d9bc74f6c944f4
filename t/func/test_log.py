"""What the log says of each session, and where it goes."""
import os
import re
import signal

from lib import client, conf
from lib.case import each, eventually, same, valgrind
from lib.client import echoes, noise, tunnel
from lib.daemon import Daemon
from lib.dns import DnsServer
from lib.origin import Listener, Origin, echo


@valgrind
def test_a_line_has_all_that_is_known(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}, 'rules': [
        conf.deny(name='no-mail', ports=['25']),
        conf.allow(name='the-rest')]})
    o = Origin(t, echo)
    with tunnel(d.address, ('target.example', o.port)) as s:
        assert echoes(s, noise(12345))
        me = s.getsockname()
    line = d.wait_access()
    assert line['client'] == f'{me[0]}:{me[1]}', line
    assert line['listener'] == 'lan', line
    assert line['protocol'] == 'socks5', line
    assert line['command'] == 'connect', line
    assert line['target'] == f'target.example:{o.port}', line
    assert line['address'] == f'127.0.0.1:{o.port}', line
    assert line['rule'] == 'the-rest', line
    assert line['up'] == line['down'] == '12345', line
    assert 0 <= float(line['duration']) < 30, line
    assert line['outcome'] == 'closed', line


def test_bytes_are_counted_each_way(t):
    d = Daemon(t)
    o = Listener(t)
    with tunnel(d.address, o.target, 'http') as near, o.accept() as far:
        near.sendall(noise(300000))
        same(client.read_exact(far, 300000), noise(300000))
        far.sendall(noise(7))
        same(client.read_exact(near, 7), noise(7))
    line = d.wait_access()
    assert (line['up'], line['down']) == ('300000', '7'), line


def test_early_data_counts(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with client.dial(d.address) as s:
        s.sendall(client.request('socks5', o.target) + b'early')
        client.take_reply(s, 'socks5')
        same(client.read_exact(s, 5), b'early')
    line = d.wait_access()
    assert (line['up'], line['down']) == ('5', '5'), line


def test_a_denied_session_names_its_rule(t):
    d = Daemon(t, {'rules': [conf.deny(name='no-mail', ports=['25']),
                             conf.allow()]})
    s, _ = client.socks5_ask(d.address, ('127.0.0.1', 25))
    s.close()
    line = d.wait_access(outcome='denied')
    assert line['rule'] == 'no-mail' and line['target'] == '127.0.0.1:25'


NAMES = (b'a b', b'a=b', b'a"b', b'a\\b', b'a\nb', b'a\rb', b'a\tb',
         b'a\x1b[31mb', b'a\x7fb', b'\xff\xfe', 'ä'.encode(), b'a\0b')


@valgrind
def test_what_a_client_sends_cannot_forge_a_line(t):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    for name in NAMES + (b'x outcome=closed rule=none\nfake access',):
        s, _ = client.socks5_ask(d.address, (name, 80), as_name=True)
        s.close()
    d.wait_access(len(NAMES) + 1)
    log = d.log()
    assert not re.search(r'[\x00-\x08\x0b-\x1f\x7f]', log)
    assert '\nfake access' not in log and '�' not in log
    assert not d.access(outcome='closed')


def test_access_can_be_off(t):
    d = Daemon(t, {'log': {'access': 'off'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.wait_rest()
    d.stop()
    assert not d.access()


@each('error', 'warning', 'notice', 'info', 'debug')
def test_every_level_is_accepted(t, level):
    d = Daemon(t, {'log': {'level': level}}, wait=False)
    while 'READY' not in d.notified():
        pass
    d.signal(signal.SIGTERM)
    d.wait_exit(0)


@valgrind
def test_a_file_is_written_and_opened_anew(t):
    folder = t.folder('log', 'nobody')
    path = os.path.join(folder, 'spliced.log')
    d = Daemon(t, {'log': {'target': 'file:' + path}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.wait_access()
    os.rename(path, path + '.1')
    d.signal(signal.SIGUSR1)
    eventually(lambda: os.path.exists(path), said='a new file')
    with tunnel(d.address, o.target) as s:
        assert echoes(s, b'x' * 777)

    def both():
        return [open(p, encoding='utf-8').read() for p in (path + '.1', path)]
    eventually(lambda: 'up=777' in both()[1], said='a line in the new file')
    old, new = both()
    assert 'up=4 ' in old and 'up=777' not in old
    assert 'up=4 ' not in new
    assert '\n<' not in '\n' + new, 'prefixes of the journal in a file'


def test_a_file_that_cannot_be_opened_is_status_1(t):
    path = t.path('no/such/folder/x.log')
    d = Daemon(t, {'log': {'target': 'file:' + path}}, wait=False)
    d.wait_exit(1)
    assert path in d.log()


def test_a_file_is_not_readable_by_everyone(t):
    folder = t.folder('log', 'nobody')
    path = os.path.join(folder, 'spliced.log')
    Daemon(t, {'log': {'target': 'file:' + path}})
    assert os.stat(path).st_mode & 0o007 == 0, oct(os.stat(path).st_mode)


def test_for_the_journal_lines_have_a_level_in_front(t):
    path = t.file('out', '')
    st = os.stat(path)
    # The shell's redirection keeps the file: its device and inode are what
    # the journal's variable names.
    d = Daemon(t, wait=False,
               env={'JOURNAL_STREAM': f'{st.st_dev}:{st.st_ino}',
                    'INVOCATION_ID': 'f' * 32},
               wrap=['sh', '-c', f'exec "$@" 2>>{path}', 'sh'])
    d.log_path = path
    d.wait_ready()
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.wait_access()
    for line in d.log().splitlines():
        assert re.match(r'<[0-7]>', line), line
    assert re.search(r'(?m)^<6>.*access', d.log()), d.log()
    assert re.search(r'(?m)^<5>.*ready', d.log()), d.log()


def test_elsewhere_lines_have_none(t):
    d = Daemon(t, env={'JOURNAL_STREAM': '1:1', 'INVOCATION_ID': 'f' * 32})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.wait_access()
    assert not re.search(r'(?m)^<', d.log())


def test_many_sessions_lose_no_line(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for i in range(300):
        with tunnel(d.address, o.target, client.PROTOCOLS[i % 2]) as s:
            assert echoes(s, b'x' * (i + 1))
    d.wait_access(300)
    same(sorted(int(f['up']) for f in d.access()), list(range(1, 301)))
