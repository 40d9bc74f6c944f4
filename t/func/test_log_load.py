"""The log of the whole daemon under more sessions than it can write.

A session is an HTTP request that no rule allows, of which a connection has
many under way (t/helper/refusals): nothing makes lines of the log as fast.
"""
import json
import os
import re
import threading
import time

from lib import admin, conf
from lib.case import (SLOWNESS, Skip, alone, each, eventually, fewer, patient,
                      same, slow, timeout)
from lib.client import authority
from lib.daemon import Daemon
from lib.origin import unused_port

CONNECTIONS = 16
SESSIONS = 40000
RATE = 20000  # a second

STAMP = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z'
TARGET = re.compile(r's(\d+)\.test:80')
LOGFMT = re.compile(
    STAMP + r' info access event=error client=127\.0\.0\.1:\d+ listener=lan '
    r'protocol=http command=request target=s(\d+)\.test:80 '
    r'client_rule=client-1 rule=nobody up=0 down=0 duration=\d+\.\d{3} '
    r'outcome=denied')
LOST = re.compile(r'(\d+) lines of the log were lost')


def begin(t, access='logfmt', fifo=None):
    """A daemon that refuses all that is asked for, and its log."""
    port = unused_port()
    how = {'log': {'access': access}, 'rules': [
        conf.deny(name='nobody', to=['.test']), conf.allow()],
           'admin': {'http': [f'127.0.0.1:{port}']}}
    if fifo:
        d = Daemon(t, how, wait=False,
                   wrap=['sh', '-c', f'exec "$@" 2>{fifo.path}', 'sh'])
        d.file_target = fifo.copy
    else:
        folder = t.folder('log', 'nobody')
        how['log']['target'] = 'file:' + os.path.join(folder, 'spliced.log')
        d = Daemon(t, how, wait=False)
    d.wait_ready()
    d.admin_port = port
    return d


def ask(t, d, count, rate=0, seconds=60):
    """So many sessions; how many a second they were."""
    done = t.run(t.helper('refusals'), authority(*d.address),
                 str(CONNECTIONS), str(count), str(rate), seconds=seconds)
    same((done.returncode, done.stderr), (0, b''))
    said = json.loads(done.stdout)
    same((said['asked'], said['answered']), (count, count))
    return said['a_second']


def number_logfmt(line):
    m = LOGFMT.fullmatch(line)
    if m:
        return int(m[1])
    # What else is said, each on a line of its own.
    assert re.match(STAMP + r' (notice|warning) \w', line) and \
        line.count('Z ') == 1, line
    return None


def number_json(line):
    found = json.loads(line)
    if found['level'] != 'info':
        return None
    same((found['event'], found['rule'], found['outcome']),
         ('error', 'nobody', 'denied'))
    return int(TARGET.fullmatch(found['target'])[1])


NUMBER = {'logfmt': number_logfmt, 'json': number_json}


def account(text, access='logfmt'):
    """The numbers of the sessions in the log, and what it says is lost.

    Each line is whole, and none is there twice.
    """
    lines = text[:-1].split('\n')
    numbers = [n for line in lines
               if (n := NUMBER[access](line)) is not None]
    found = set(numbers)
    same(len(found), len(numbers))
    return found, sum(int(n) for n in LOST.findall(text))


def accounted(d, count, access='logfmt'):
    """Waits until all are in the log, or counted; what it counts as lost."""
    def look():
        with open(d.file_target, encoding='ascii') as f:
            text = f.read()
        if not text.endswith('\n'):
            return None
        seen = len(TARGET.findall(text)) + \
            sum(int(n) for n in LOST.findall(text))
        return seen >= count and account(text, access)
    found, lost = eventually(look, 20, 'the lines of all sessions')
    same(len(found) + lost, count)
    assert max(found) < count, max(found)
    return lost


def dropped(d):
    """What its metrics say of that."""
    return admin.value(admin.metrics(d.admin_port),
                       'spliced_log_dropped_total')


@each('logfmt', 'json')
def test_each_session_is_in_the_log_or_counted(t, access):
    """As fast as it can: more than a logger can write it may lose."""
    d = begin(t, access)
    count = fewer(SESSIONS)
    rate = ask(t, d, count)
    lost = accounted(d, count, access)
    same(dropped(d), lost)
    print(f'{count} sessions, {rate} a second, {lost} of them lost')


class Reader:
    """Who reads a FIFO into a file: all at once, slowly, or not at all."""

    def __init__(self, t):
        folder = t.folder('fifo', 'nobody')
        self.path = os.path.join(folder, 'fifo')
        self.copy = t.path('copy')
        os.mkfifo(self.path)
        os.chmod(self.path, 0o666)
        # Both ends: it neither waits for a writer nor ends with one.
        self.fd = os.open(self.path, os.O_RDWR)
        self.pause, self.over = threading.Event(), False
        self.size, self.wait = 65536, 0
        open(self.copy, 'wb').close()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        t.defer(self.end)

    def run(self):
        with open(self.copy, 'ab', buffering=0) as f:
            while not self.over:
                f.write(os.read(self.fd, self.size))
                time.sleep(self.wait)
                while self.pause.is_set() and not self.over:
                    time.sleep(0.005)

    def end(self):
        self.over = True
        os.write(self.fd, b'\n')
        self.thread.join(patient(5))
        os.close(self.fd)


@timeout(60)
@each('slow', 'stopped')
def test_what_nobody_reads_in_time_is_counted(t, how):
    """A pipe whose reader takes a page in a while, or nothing for long."""
    reader = Reader(t)
    d = begin(t, fifo=reader)
    if how == 'slow':
        reader.size, reader.wait = 4096, 0.002
    else:
        reader.pause.set()
    rate = ask(t, d, SESSIONS)
    reader.size, reader.wait = 65536, 0
    reader.pause.clear()
    lost = accounted(d, SESSIONS)
    same(dropped(d), lost)
    # Rings and pipe hold a third of it.
    assert how == 'slow' or lost > SESSIONS / 4, lost
    print(f'{SESSIONS} sessions, {rate} a second, {lost} of them lost')


@slow
@alone
@timeout(90)
@each('file', 'pipe')
def test_at_twenty_thousand_sessions_a_second(t, where):
    """The same, and that many there are, for five seconds."""
    if SLOWNESS != 1:
        raise Skip('a measurement')
    reader = Reader(t) if where == 'pipe' else None
    d = begin(t, fifo=reader)
    if reader:  # a tenth of what comes
        reader.size, reader.wait = 4096, 0.01
    before = d.cpu()
    rate = ask(t, d, 5 * RATE, RATE * 1.05)
    spent = d.cpu() - before
    if reader:
        reader.size, reader.wait = 65536, 0
    lost = accounted(d, 5 * RATE)
    same(dropped(d), lost)
    print(f'{where}: {rate} sessions a second, {lost} of {5 * RATE} lost, '
          f'{spent / (5 * RATE) * 1e6:.1f} us CPU a session')
    assert rate >= RATE, rate
    assert lost if reader else not lost, lost
