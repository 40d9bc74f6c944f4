"""The journal's own protocol, spoken to a socket that stands in for journald.

The daemon runs in a mount namespace of its own, where /run/systemd/journal is
a folder of the test.
"""
import os
import re
import signal
import socket
import subprocess
import time

from lib import client, conf
from lib.case import Skip, each, eventually, long, patient
from lib.client import echoes, noise, tunnel
from lib.daemon import Daemon
from lib.dns import DnsServer
from lib.origin import Origin, echo

ENTER = ('mount -t tmpfs none /run && mkdir /run/systemd && '
         'ln -s "$1" /run/systemd/journal && shift && exec "$@"')
READY = b'dc24467c78824ae587414876553a9b52'
ENDED = b'542afb8c25a240ce91c8b2b36247d90d'
BEGUN = b'c55a62a105024fa7bc99b80188281f36'
SESSION = b'818b62850d1d4768927ca85437b30946'
CONFIG = {'log': {'target': 'journal'}}


def parse(entry):
    """The fields of an entry, read as journald does."""
    fields = {}
    while entry:
        line, feed, rest = entry.partition(b'\n')
        assert feed, entry
        name, equals, value = line.partition(b'=')
        if not equals:
            size = int.from_bytes(rest[:8], 'little')
            value, entry = rest[8:8 + size], rest[8 + size:]
            assert len(value) == size and entry[:1] == b'\n', rest
            entry = entry[1:]
        else:
            entry = rest
        name = name.decode('ascii')
        assert name.isupper() and name not in fields, name
        fields[name] = value
    return fields


class Journal:
    """Stands in for journald."""

    def __init__(self, t):
        self.folder = t.path('journal')
        self.entries = []
        self.socket = None
        os.mkdir(self.folder, 0o755)
        try:
            done = subprocess.run(self.wrap() + ['true'],
                                  stderr=subprocess.DEVNULL, check=False)
        except FileNotFoundError:
            raise Skip('needs unshare') from None
        if done.returncode:
            raise Skip('needs a mount namespace')
        t.defer(self.close)

    def wrap(self):
        return ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', self.folder]

    def listen(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.folder, 'socket'))
        os.chmod(os.path.join(self.folder, 'socket'), 0o666)
        self.socket.setblocking(False)
        return self

    def close(self):
        if self.socket:
            self.socket.close()
            os.unlink(os.path.join(self.folder, 'socket'))
            self.socket = None

    def read(self):
        while self.socket:
            try:
                self.entries.append(parse(self.socket.recv(65536)))
            except BlockingIOError:
                break
        return self.entries

    def wait(self, wanted, count=1, seconds=10):
        """Waits for that many entries with these fields; the last one."""
        found = eventually(
            lambda: (f := [e for e in self.read() if wanted.items() <=
                           e.items()])[count - 1:] and f, seconds,
            lambda: f'{count} entries with {wanted} in {self.entries[-10:]}')
        return found[-1]


def start(t, changes=None, **options):
    j = Journal(t).listen()
    return j, Daemon(t, {**CONFIG, **(changes or {})}, wrap=j.wrap(),
                     **options)


def text(entry):
    return entry['MESSAGE'].decode()


def test_life_is_told_with_message_ids(t):
    j, d = start(t)
    ready = j.wait({'MESSAGE_ID': READY})
    assert text(ready).startswith('spliced is ready on '), ready
    assert ready['PRIORITY'] == b'5', ready
    assert ready['SYSLOG_IDENTIFIER'] == b'spliced', ready
    d.stop()
    assert text(j.wait({'MESSAGE_ID': ENDED})).endswith('has ended')


def test_values_of_a_session_are_fields(t):
    j, d = start(t, {'rules': [conf.allow(name='the-rest')]})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, noise(12345))
        me = s.getsockname()
    e = j.wait({'MESSAGE_ID': SESSION})
    assert e['PRIORITY'] == b'6', e
    assert e['SPLICED_CLIENT'] == f'{me[0]}:{me[1]}'.encode(), e
    assert e['SPLICED_LISTENER'] == b'lan', e
    assert e['SPLICED_PROTOCOL'] == b'socks5', e
    assert e['SPLICED_TARGET'] == f'127.0.0.1:{o.port}'.encode(), e
    assert e['SPLICED_RULE'] == b'the-rest', e
    assert e['SPLICED_UP'] == e['SPLICED_DOWN'] == b'12345', e
    assert e['SPLICED_OUTCOME'] == b'closed', e
    assert 'rule=the-rest' in text(e), e


@each(('logfmt', r'access event=connect client='),
      ('json', r'\{"event":"connect","client":"'),
      ('danted', r'info: pass\(1\): tcp/connect \[: 127'))
def test_fields_do_not_depend_on_the_format(t, case):
    access, begins = case
    j, d = start(t, {'log': {**CONFIG['log'], 'access': access},
                     'rules': [conf.allow(name='the-rest', log=[
                         'connect', 'disconnect', 'error'])]})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, b'x' * 77)
        e = j.wait({'SPLICED_EVENT': b'connect'})
        assert re.match(begins, text(e)), e
        assert e['MESSAGE_ID'] == BEGUN, e
        assert e['SPLICED_RULE'] == b'the-rest', e
        assert 'SPLICED_OUTCOME' not in e, e
    e = j.wait({'SPLICED_EVENT': b'disconnect'})
    assert e['MESSAGE_ID'] == SESSION, e
    assert e['SPLICED_UP'] == e['SPLICED_DOWN'] == b'77', e
    assert e['SPLICED_OUTCOME'] == b'closed', e
    client.socks5_ask(d.address, ('127.0.0.1', 1))[0].close()
    e = j.wait({'SPLICED_EVENT': b'error', 'SPLICED_OUTCOME': b'refused'})
    assert e['MESSAGE_ID'] == SESSION, e
    j.wait({'SPLICED_EVENT': b'ready'})


NAMES = (b'a b', b'a=b', b'a"b', b'a\\b', b'a\nb', b'a\x1b[31mb',
         b'\xff\xfe', b'a\0b', b'x\nMESSAGE=fake\nPRIORITY=0\n', b'\\x0a')


def test_what_a_client_sends_cannot_forge_a_field(t):
    names = DnsServer(t)
    j, d = start(t, {'names': {'servers': [names.address]}})
    for name in NAMES:
        s, _ = client.socks5_ask(d.address, (name, 80), as_name=True)
        s.close()
    j.wait({'MESSAGE_ID': SESSION}, len(NAMES))
    for e in j.entries:
        assert e['PRIORITY'] in (b'5', b'6'), e
        assert e['MESSAGE'] != b'fake', e
        assert e.get('SPLICED_OUTCOME') != b'closed', e


def test_every_generation_writes_there(t):
    j, d = start(t)
    j.wait({'MESSAGE_ID': READY})
    d.signal(signal.SIGUSR1)  # has nothing to open
    for n in range(2, 5):
        d.signal(signal.SIGHUP)
        assert f'generation {n}' in text(j.wait({'MESSAGE_ID': READY}, n))
    j.wait({'MESSAGE_ID': ENDED}, 3)
    client.socks5_ask(d.address, ('127.0.0.1', 1))[0].close()
    j.wait({'MESSAGE_ID': SESSION})


@long
def test_a_journal_that_restarts_is_found_again(t):
    j, d = start(t)
    j.wait({'MESSAGE_ID': READY})
    j.close()
    client.socks5_ask(d.address, ('127.0.0.1', 1))[0].close()
    time.sleep(patient(2))  # longer than the daemon waits for it
    client.socks5_ask(d.address, ('127.0.0.1', 1))[0].close()
    time.sleep(patient(0.5))
    j.listen()
    lost = eventually(lambda: [e for e in j.read() if b'were lost' in
                               e['MESSAGE']], 10, 'the lost are counted')
    assert lost[0]['PRIORITY'] == b'4', lost
    assert lost[0]['MESSAGE'].split()[0] == b'2', lost
    client.socks5_ask(d.address, ('127.0.0.1', 1))[0].close()
    j.wait({'MESSAGE_ID': SESSION})


def test_a_journal_that_is_not_there_is_an_error(t):
    j = Journal(t)
    d = Daemon(t, CONFIG, wrap=j.wrap(), wait=False)
    d.wait_log('cannot open the log journal: No such file')
    d.wait_exit(1)
