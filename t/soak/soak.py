#!/usr/bin/python3
"""A thousand reloads under load: nothing may fail, nothing may grow.

    t/soak/soak.py --build DIR [--reloads N] [--rate N] [--pause S] [--keep]

Prints a line now and then and the figures at the end.  New connections come
all the while; tunnels (idle, half-closed, uploads, downloads) last from before
one reload to after a few more, so that the bound on generations cuts none.
Exit status 0: all is as it should be.
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..', 'func'))

from lib import proc  # noqa: E402
from lib.case import Case  # noqa: E402
from lib.churn import Churn, assert_whole  # noqa: E402
from lib.daemon import Daemon  # noqa: E402

GENERATIONS = 8
EACH = 5          # reloads that a batch of tunnels sees
WARM = 50         # reloads after which memory is what it should stay
TUNNELS = {'idle': 40, 'half': 20, 'up': 4, 'down': 4}
CONF = {'limits': {'generations': GENERATIONS},
        'timeouts': {'shutdown': '5s', 'half_closed': '10m'}}


class Soak:
    """The daemon, what it goes through, and what was seen."""

    def __init__(self, t, options):
        self.options = options
        self.d = Daemon(t, CONF)
        self.t = t
        self.took = []
        self.alive = 0
        self.connections = self.failed = self.tunnels = 0
        self.slowest = 0.0
        self.warm = None
        self.parts = []

    def reload(self):
        answer = self.d.control.ask('reload wait', 60)[-1]
        assert answer['ok'], answer
        self.took.append(answer['ms'])
        alive = len(self.d.generations())
        self.alive = max(self.alive, alive)
        assert alive <= GENERATIONS, self.d.generations()

    def batch(self):
        """Tunnels that see EACH reloads."""
        tunnels = Churn(self.t, self.d.address, **TUNNELS)
        for _ in range(EACH):
            start = time.monotonic()
            self.reload()
            time.sleep(max(0, start + self.options.pause - time.monotonic()))
        report = tunnels.finish()
        assert report['whole'] == sum(TUNNELS.values()), report
        assert not any(report['tunnel_errors'].values()), report
        self.tunnels += report['whole']
        self.t.endings = [e for e in self.t.endings
                          if e[1] != (tunnels.process,)]

    def take(self, report):
        assert_whole(report)
        self.connections += report['ok']
        self.failed += report['failed']
        self.slowest = max(self.slowest, report['max_ms'])
        self.parts.append(report)
        print(f'{len(self.took):5} reloads, {self.connections:7} '
              f'connections, {self.failed} failed; connect to echo: median '
              f'{report["p50_ms"]:.2f} ms, 99 % {report["p99_ms"]:.1f} ms, '
              f'slowest {report["max_ms"]:.1f} ms; master '
              f'{proc.memory(self.d.pid) >> 10} KiB, '
              f'{len(proc.links(self.d.pid))} descriptors', flush=True)

    def run(self):
        load = Churn(self.t, self.d.address, seconds=24 * 3600,
                     rate=self.options.rate)
        looked = 0
        while len(self.took) < self.options.reloads:
            self.batch()
            if not self.warm and len(self.took) >= WARM:
                self.warm = proc.memory(self.d.pid)
            if len(self.took) - looked >= 100:
                looked = len(self.took)
                self.take(load.count())
        last = load.finish()
        # The last count may have come a millisecond before.
        if last['started'] or last['failed']:
            self.take(last)
        else:
            self.connections += last['ok']
        self.d.found = None
        self.d.wait_alone(30)
        self.d.assert_polled()

    def figures(self):
        took = sorted(self.took)
        after = proc.memory(self.d.pid)
        before = self.warm or after
        print(f'reloads                 {len(took)}')
        print(f'connections             {self.connections}')
        print(f'failed                  {self.failed}')
        print(f'tunnels, whole          {self.tunnels}')
        print(f'slowest connection      {self.slowest:.1f} ms')
        print('reload to accepting     median '
              f'{statistics.median(took):.0f} ms, 99 % '
              f'{took[int(len(took) * 0.99)]} ms, slowest {took[-1]} ms')
        print(f'most generations alive  {self.alive} of {GENERATIONS}')
        print(f'memory of the master    {before >> 10} KiB after {WARM} '
              f'reloads, {after >> 10} KiB at the end')
        print(f'memory of a generation  {self.d.memory() >> 10} KiB')
        assert after <= before * 1.1, f'{after} bytes, {before} before'


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    p.add_argument('--build', default='build', metavar='DIR')
    p.add_argument('--reloads', type=int, default=1000, metavar='N')
    p.add_argument('--rate', type=int, default=1000, metavar='N',
                   help='new connections a second')
    p.add_argument('--pause', type=float, default=0.12, metavar='S',
                   help='from one reload to the next, at least')
    p.add_argument('--keep', action='store_true', help='keep the logs')
    return p.parse_args()


def main():
    options = arguments()
    Churn.quiet = True
    folder = tempfile.mkdtemp(prefix='spliced-soak-')
    os.chmod(folder, 0o755)
    t = Case(os.path.abspath(options.build), folder)
    failed = True
    try:
        soak = Soak(t, options)
        soak.run()
        soak.figures()
        failed = False
    finally:
        t.finish(failed)
        if options.keep or failed:
            print(f'kept in {folder}')
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print('soak: all is well')


if __name__ == '__main__':
    main()
