#!/usr/bin/python3
"""HTTP servers beside the practical limit: requests/s and CPU per request.

    server.py --build build [--rounds 5] [--only close,keep] [--connections N]
              [--seconds 2] [--peers none] [--json FILE]

The seed's eight tests, by wrk: the server on one CPU, the load on another.
All servers stay up through the run.  Each round takes those of a test first
one after the other, for what each can do, then all at the same time, for how
they compare: what a machine does to one it then does to all.  README.md
beside this file says how to read what is printed.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is generated beside the sources

# pylint: disable=wrong-import-position
import measure
import report
import server_report
from server_report import TESTS
from server_subjects import ALL, Floor2, Nginx, cpu_of

IDLE = (1000, 9000)
WARM = 2  # seconds in which all of a load's handshakes are done
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def number_in(pattern, text):
    found = re.search(pattern, text)
    return float(found[1]) if found else 0


class Load:
    """A wrk that runs against a server."""

    def __init__(self, server, connections, seconds):
        self.server = server
        self.seconds = max(1, round(seconds))  # it knows no others
        scheme = "https" if server.test.tls else "http"
        self.process = subprocess.Popen(
            ["taskset", "-c", cpu_of(-1), "wrk", "-t1", f"-c{connections}",
             f"-d{self.seconds}s", "--timeout", "10s",
             f"{scheme}://{server.where}/"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """What it has counted."""
        try:
            text = self.process.communicate(timeout=self.seconds + 60)[0]
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
        sample = {
            "units": number_in(r"(\d+) requests in", text),
            "seconds": number_in(r"requests in ([\d.]+)s", text),
            "failed": number_in(r"Non-2xx or 3xx responses: (\d+)", text) +
            sum(number_in(rf"Socket errors:.*\b{kind} (\d+)", text)
                for kind in ("connect", "read", "write", "timeout"))}
        if self.process.returncode or not sample["units"] or \
                not sample["seconds"]:
            raise RuntimeError("wrk: " + text.strip()[-500:])
        return sample


def run(servers, connections, seconds):
    """Loads all at the same time: a sample for each."""
    before = [measure.cpu(s.process.pid) for s in servers]
    loads = [Load(s, connections, seconds) for s in servers]
    samples = [load.end() for load in loads]
    for sample, server, used in zip(samples, servers, before):
        sample["cpu"] = measure.cpu(server.process.pid) - used
    return samples


def loaded(servers, connections, seconds):
    """
    The same.  With TLS a load takes a while to come about: it gets more time,
    and where connections stay, the slope between a short run and a long one
    is taken, without the handshakes.
    """
    test = servers[0].test
    if not test.tls:
        return run(servers, connections, seconds)
    if test.close:
        return run(servers, connections, WARM + seconds)
    short = run(servers, connections, WARM)
    long = run(servers, connections, WARM + seconds)
    return [{"failed": a["failed"] + b["failed"],
             **{k: b[k] - a[k] for k in ("units", "seconds", "cpu")}}
            for a, b in zip(short, long)]


def ask(address):
    """A connection on which one request was answered; it stays open."""
    host, port = address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), 10)
    s.sendall(REQUEST)
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(65536)
        if not more:
            raise RuntimeError("the server ended a connection")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    left = int(number_in(rb"(?i)content-length: (\d+)", head)) - len(body)
    while left > 0:
        left -= len(s.recv(left))
    return s


def settled(pid):
    time.sleep(1.5)  # what is given back a second later counts as given back
    return measure.pss(pid)


class Run:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.folder = tempfile.mkdtemp(prefix="spliced-server-",
                                       dir=self.memory_folder())
        os.chmod(self.folder, 0o755)
        self.open = []
        self.failed = []
        self.began = time.monotonic()

    @staticmethod
    def memory_folder():
        return "/dev/shm" if os.path.isdir("/dev/shm") else None

    def __enter__(self):
        self.make_keys()
        return self

    def __exit__(self, *_):
        for server in reversed(self.open):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_keys(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", "key.pem", "-out", "cert.pem"], cwd=self.folder,
            check=True, capture_output=True)

    def kinds(self):
        peers = self.args.peers
        for kind in ALL:
            if kind is Nginx and peers is not None and \
                    "nginx" not in peers.split(","):
                continue
            if kind.path(self.build):
                yield kind

    def start(self, kind, test):
        folder = os.path.join(self.folder, f"{test.name}-{kind.name}")
        server = kind(self.build, folder, test)
        try:
            server.start()
        except (RuntimeError, OSError) as e:
            say(f"{test.name} {kind.name} left out: {e}")
            self.failed.append(f"{test.name} {kind.name}: {e}")
            return None
        self.open.append(server)
        return server

    def stop(self, server):
        self.open.remove(server)
        server.stop()

    def take(self, servers, samples):
        """Measures servers of one test, which share the connections."""
        names = [(s.name, s.test.name) for s in servers]
        each = self.args.connections // len(servers)
        try:
            samples.update(zip(names, loaded(servers, each,
                                             self.args.seconds)))
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
            say(f"{names}: {e}")
            self.failed.append(f"{names}: {e}")

    def rounds(self, tests):
        servers = {t: [s for s in (self.start(k, t) for k in self.kinds()
                                   if k.serves_test(t)) if s] for t in tests}
        rounds = []
        for n in range(self.args.rounds):
            alone, together = {}, {}
            for test in tests:
                turn = servers[test][::-1] if n % 2 else servers[test]
                for server in turn:
                    self.take([server], alone)
                self.take(turn, together)
            rounds.append({"alone": alone, "together": together})
            say(f"round {n + 1} of {self.args.rounds}, "
                f"{time.monotonic() - self.began:.0f} s")
        for server in list(self.open):
            self.stop(server)
        return rounds

    def idle_of(self, kind):
        """Bytes a connection that waits, more than at rest, by count."""
        server = self.start(kind, server_report.by_name("keep"))
        if not server:
            return None
        connections, found = [], {}
        try:
            pid = server.process.pid
            ask(server.where).close()  # what is made once for all is there
            rest = settled(pid)
            for count in IDLE:
                while len(connections) < count:
                    connections.append(ask(server.where))
                found[count] = (settled(pid) - rest) / count
        except (RuntimeError, OSError) as e:
            say(f"idle {kind.name}: {e}")
            self.failed.append(f"idle {kind.name}: {e}")
        finally:
            for s in connections:
                s.close()
            self.stop(server)
        say(f"idle {kind.name}, {time.monotonic() - self.began:.0f} s")
        return found

    def all(self):
        head = report.machine()
        only = self.args.only.split(",")
        tests = [t for t in TESTS if t.name in only]
        what = {k.name: {"what": k.what, "version": k.version(self.build)}
                for k in self.kinds()}
        rounds = self.rounds(tests) if tests else []
        idle = {k.name: found for k in self.kinds() if k is not Floor2
                and (found := self.idle_of(k))} if "idle" in only else {}
        head.update(rounds=self.args.rounds, seconds=self.args.seconds,
                    connections=self.args.connections,
                    took_s=round(time.monotonic() - self.began))
        result = server_report.summary(rounds, tests, idle, list(what))
        result["verdicts"] = server_report.verdicts(rounds, result)
        text = server_report.table(head, result, what)
        result.update(machine=head, subjects=what, failed=self.failed,
                      rounds=[{how: [{**v, "subject": s, "test": t}
                                     for (s, t), v in samples.items()]
                               for how, samples in r.items()}
                              for r in rounds])
        return text, result


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    names = [t.name for t in TESTS] + ["idle"]
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2,
                        help="of each measurement")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--peers", help="nginx, or none")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.json = args.json or os.path.join(args.build, "bench", "server.json")
    for word in args.only.split(","):
        if word not in names:
            parser.error(f"no such test: {word}; there are {names}")
    return args


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    args = arguments()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    if len(os.sched_getaffinity(0)) < 2:
        say("only one CPU: the load takes from the servers what it uses")
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
    plot = os.path.splitext(args.json)[0] + ".png"
    print(server_report.plot(result, plot))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
