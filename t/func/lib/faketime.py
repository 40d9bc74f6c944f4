"""Another wall clock for a daemon, by libfaketime, that a test turns."""
import glob
import os

from .case import SANITIZED, VALGRIND, Skip


class FakeTime:
    """`env` and `changes` are for the daemon; the zone is UTC.

    The clock goes on from what it was set to.  The file that says so is read
    at each look at the clock, which the sandbox would not allow.
    """

    def __init__(self, t, when, zone='UTC0'):
        if SANITIZED or VALGRIND:
            raise Skip('libfaketime and sanitizers do not go together')
        found = glob.glob('/usr/lib/*/faketime/libfaketimeMT.so.1')
        if not found:
            raise Skip('faketime is not installed')
        self.t = t
        self.path = t.path('clock')
        self.set(when)
        self.env = {'LD_PRELOAD': found[0], 'TZ': zone,
                    'FAKETIME_TIMESTAMP_FILE': self.path,
                    'FAKETIME_NO_CACHE': '1',
                    'FAKETIME_DONT_FAKE_MONOTONIC': '1',
                    'FAKETIME_DONT_RESET': '1'}
        self.changes = {'sandbox': 'off'}

    def set(self, when):
        """To "YYYY-MM-DD HH:MM:SS"."""
        os.rename(self.t.file('clock.new', f'@{when}\n', 0o644), self.path)
