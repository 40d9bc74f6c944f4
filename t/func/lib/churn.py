"""The load of new connections and lasting tunnels that reloads run under."""
import json
import select
import subprocess
import time

from .case import patient
from .client import authority


class Churn:
    """t/helper/churn at a daemon's address, from now until finish().

    rate: new connections a second; or clients: that many at a time.  idle,
    half, up, down: tunnels from before the first to after the last of them.
    """

    quiet = False  # reports are printed, which only a failed test shows

    def __init__(self, t, address, seconds=120, patience=10, **how):
        words = []
        for key, value in how.items():
            words += ['--' + key, str(value)]
        self.process = t.start(
            t.helper('churn'), '--proxy', authority(*address), '--seconds',
            str(patient(seconds)), '--patience', str(patient(patience)),
            *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.limit = patient(seconds + 2 * patience + 5)
        self.pending = b''
        self.said = []
        first = self.line()
        assert first == 'ready', first
        self.began = time.monotonic()

    def line(self):
        end = time.monotonic() + self.limit
        while b'\n' not in self.pending:
            left = max(0, end - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError('the load does not answer')
            got = self.process.stdout.read1(65536)
            if not got:
                raise AssertionError('the load has ended')
            self.pending += got
        line, _, self.pending = self.pending.partition(b'\n')
        return line.decode()

    def take(self):
        report = json.loads(self.line())
        self.said.append(report)
        if not self.quiet:
            print('churn:', json.dumps(report))
        return report

    def count(self):
        """What it has counted since it began or was last asked."""
        self.process.stdin.write(b'\n')
        self.process.stdin.flush()
        return self.take()

    def finish(self):
        """Ends it in order and returns its last report."""
        self.process.stdin.close()
        report = self.take()
        self.process.wait(patient(10))
        self.process.stdout.close()
        return report


def assert_whole(*reports):
    """No connection failed, no tunnel lost a byte."""
    for r in reports:
        assert r['failed'] == 0, r
        assert r['started'] > 0, r
    last = reports[-1]
    assert last['tunnels'] == last['whole'], last
    assert not any(last['tunnel_errors'].values()), last
