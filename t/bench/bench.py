#!/usr/bin/python3
"""The benchmark: spliced beside the practical limit and beside its peers.

    bench.py --build build [--rounds 11] [--only connect,idle] [--quick]
             [--peers haproxy,danted | none] [--admin] [--json FILE]

All subjects stay up through the run; each round takes every subject in turn,
in alternating order, so that each figure can be the median of ratios within
one round. README.md beside this file says how to read what it prints.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is generated beside the sources

# pylint: disable=wrong-import-position
import admin_subjects
import measure
import report
import subjects
import web_subjects

WORKS = ["connect", "pingpong", "down", "up", "paced", "idle", "fairness",
         "udp", "policy", "http", "http-connect", "tls", "tls-idle"]
# Which of these are several.
PARTS = {"udp-burst": "udp", "tls-down": "tls", "tls-up": "tls"}
ALL = subjects.ALL + web_subjects.ALL
SCRAPED = admin_subjects.ALL
# Concurrency of each work.
TUNNELS = {"connect": 64, "pingpong": 100, "down": 8, "up": 8, "paced": 12,
           "policy": 64, "http": 64, "http-connect": 64, "tls": 64,
           "tls-down": 8, "tls-up": 8}
PACE = 250_000_000 // 8
IDLE = {"idle": (1000, 9000), "tls-idle": (500, 4500)}
# A paced load leaves CPU unused: it needs longer to show as much of it.
LONGER = {"paced": 2}
# UDP: datagrams a second that leave the clients, and how many at a time.
UDP_RATE = 50_000
UDP_BURST = {"udp": 1, "udp-burst": 8}
UDP_CLIENTS = 50
OWN = ("floor", "spliced", "spliced-admin", "floor2")
# Those that have to be told apart by a few percent.
CLOSE = {"http": ("spliced", "nginx", "nginx2", "haproxy"),
         "http-connect": ("spliced", "spliced-s5"),
         **dict.fromkeys(("tls", "tls-down", "tls-up"),
                         ("spliced", "nginx", "nginx2"))}
# Peers that no target names need no more than every third round.
RARE = ("tinyproxy", "squid")
FAIR = ("floor", "spliced", "haproxy", "nginx", "microsocks", "danted")


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Run:
    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.args = args
        self.folder = tempfile.mkdtemp(prefix="spliced-bench-")
        os.chmod(self.folder, 0o755)
        self.bench = measure.Bench(self.build)
        self.open = []  # what has to be ended, in the order of its start
        self.failed = []
        self.count = 0

    def __enter__(self):
        self.main = self.origin()
        self.second = self.origin()
        self.paced = self.origin(PACE)
        self.echo = self.udp_echo()
        return self

    def __exit__(self, *_):
        for thing in reversed(self.open):
            (thing.end if hasattr(thing, "end") else thing.stop)()
        if self.args.keep:
            say("kept:", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def origin(self, pace=0):
        origin = measure.Origin(self.build, pace)
        self.open.append(origin)
        return origin.address

    def udp_echo(self):
        echo = measure.Echo(self.build)
        self.open.append(echo)
        return echo

    def start(self, kind, workers):
        """A running subject, or None with a word on why not."""
        self.count += 1
        folder = os.path.join(self.folder, f"{self.count}-{kind.name}")
        origins = [self.main, self.second, self.paced]
        subject = kind(self.build, folder, workers, origins)
        try:
            subject.start()
        except (RuntimeError, OSError) as e:
            say(f"{kind.name} left out: {e}")
            return None
        self.open.append(subject)
        return subject

    def stop(self, subject):
        self.open.remove(subject)
        subject.stop()

    def kinds(self):
        """Those that are here; what is not was said at the beginning."""
        for kind in ALL + (SCRAPED if self.args.admin else []):
            if not kind.name.startswith(OWN) and not self.wanted(kind.name):
                continue
            if kind.path(self.build):
                yield kind

    def wanted(self, name):
        peers = self.args.peers
        return peers is None or name.rstrip("2") in peers.split(",")

    def guarded(self, what, subject, function, *args):
        """A measurement may fail without ending the run."""
        try:
            return function(*args)
        except (RuntimeError, OSError, ValueError) as e:
            say(f"{what} {subject.name}: {e}")
            self.failed.append(f"{what} {subject.name}: {e}")
            return None

    def sample(self, samples, subject, work):
        if not subject.alive() or not subject.does(work):
            return
        seconds = self.args.seconds * LONGER.get(work, 1)
        if work in UDP_BURST:
            got = self.guarded(work, subject, self.bench.udp, subject,
                               self.echo, UDP_CLIENTS, UDP_RATE,
                               UDP_BURST[work], seconds)
        else:
            origin = self.paced if work == "paced" else self.main
            got = self.guarded(work, subject, self.bench.work, subject,
                               origin, work, TUNNELS[work], seconds)
        if got:
            key = subject.name, work
            samples[key] = report.merged(samples.get(key), got)

    def order(self, running, n, work):
        """The subjects of round n, each where drift weighs least.

        Those that have to be told apart by a few percent are taken twice,
        there and back, so that a machine that slows down meanwhile does so
        for all of them alike.
        """
        close = CLOSE.get(work, OWN)
        running = [s for s in running if s.does(work)]
        own = sorted((s for s in running if s.name in close),
                     key=lambda s: close.index(s.name))
        peers = [s for s in running if s.name not in close
                 and (s.name not in RARE or n % 3 == 0)]
        if not self.args.quick:
            own += own[::-1]
        elif n % 2:
            own.reverse()
        return own + peers if n % 2 else peers[::-1] + own

    def rounds(self, works):
        all_subjects = [s for s in (self.start(k, 2) for k in self.kinds()
                                    if any(map(k.does, works))) if s]
        rounds = []
        for n in range(self.args.rounds):
            samples = {}
            for work in works:
                for subject in self.order(all_subjects, n, work):
                    self.sample(samples, subject, work)
            rounds.append(samples)
            say(f"round {n + 1} of {self.args.rounds}, "
                f"{time.monotonic() - self.began:.0f} s")
        for subject in all_subjects:
            self.stop(subject)
        return rounds

    def idle(self, work):
        out = {}
        for kind in self.kinds():
            if kind.name == "floor2" or not kind.does(work):
                continue
            subject = self.start(kind, 2)
            if not subject:
                continue
            got = self.guarded(work, subject, self.bench.idle, subject,
                               self.main, *IDLE[work], work)
            self.stop(subject)
            if got:
                out[kind.name] = got
            say(f"{work} {kind.name}, {time.monotonic() - self.began:.0f} s")
        return out

    def fairness(self):
        out = {}
        kinds = [k for k in self.kinds()
                 if k.name in FAIR and k.does("fairness")]
        started = [s for s in (self.start(k, 1) for k in kinds) if s]
        for _ in range(3):
            for subject in started:
                got = self.guarded("fairness", subject, self.bench.fairness,
                                   subject, self.main, self.second,
                                   2 * self.args.seconds)
                if got:
                    out.setdefault(subject.name, []).append(got)
        for subject in started:
            self.stop(subject)
        return out

    def flood(self):
        """As fairness, for datagrams; each subject by itself."""
        out = {}
        second = self.udp_echo()
        for _ in range(3):
            for kind in self.kinds():
                if kind.name == "floor2" or not kind.does("udp"):
                    continue
                subject = self.start(kind, 1)
                if not subject:
                    continue
                got = self.guarded("flood", subject, self.bench.flood,
                                   subject, self.echo, second,
                                   2 * self.args.seconds)
                self.stop(subject)
                if got:
                    out.setdefault(kind.name, []).append(got)
        return out

    def all(self):
        self.began = time.monotonic()
        head = report.machine()
        for name in {k.name: 0 for k in ALL if not k.path(self.build)}:
            say(f"{name} left out: not on this machine")
        only = self.args.only.split(",")
        works = [w for w in report.UNIT if PARTS.get(w, w) in only]
        what = {}
        for kind in self.kinds():
            if any(map(kind.does, works + only)):
                what.setdefault(kind.name, {
                    "what": kind.what, "version": kind.version(self.build)})
        rounds = self.rounds(works) if works else []
        fair = self.fairness() if "fairness" in only else {}
        flood = self.flood() if "udp" in only else {}
        idle = {w: self.idle(w) for w in IDLE if w in only}
        result = report.summary(rounds, idle, fair, flood, list(what))
        result["verdicts"] = report.verdicts(rounds, result)
        head.update(rounds=self.args.rounds, seconds=self.args.seconds,
                    took_s=round(time.monotonic() - self.began))
        text = report.table(head, result, what)
        result.update(
            machine=head, subjects=what, failed=self.failed,
            rounds=[[{**v, "subject": s, "work": w}
                     for (s, w), v in r.items()] for r in rounds])
        return text, result


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float,
                        help="of each measurement")
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--peers", help="a list, or none; all by default")
    parser.add_argument("--admin", action="store_true",
                        help="spliced with its admin listener scraped, too")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true",
                        help="3 short rounds: for a look, not for a figure")
    parser.add_argument("--keep", action="store_true",
                        help="keep the subjects' files and logs")
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 11)
    args.seconds = args.seconds or (0.6 if args.quick else 1.2)
    args.json = args.json or os.path.join(args.build, "bench", "result.json")
    for word in args.only.split(","):
        if word not in WORKS:
            parser.error(f"no such work: {word}")
    return args


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    args = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, interrupted)
    with Run(args) as run:
        text, result = run.all()
    os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
    with open(args.json, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
    print(text)
    print("\nwritten:", args.json)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
