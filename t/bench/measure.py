"""How it is measured: clocks and memory of process trees, loads, origins."""
import json
import os
import select
import subprocess
import time

PATIENCE = 60
# What a load calls it.
WORK = {"paced": "down", "policy": "connect", "http-connect": "connect",
        "tls": "connect", "tls-down": "down", "tls-up": "up",
        "tls-idle": "idle"}


def tree(pid):
    """The process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def stat(pid):
    """Fields of /proc/PID/stat from the state on."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8",
                  errors="replace") as text:
            return text.read().rpartition(")")[2].split()
    except OSError:
        return None


def cpu(pid):
    """Seconds of CPU that the tree has used.

    The CPU clock of each process counts to the nanosecond and includes the
    threads that have ended (one per connection in some proxies), which
    /proc/PID/task/*/schedstat does not. Children that have ended are known
    in ticks only; few proxies have such.
    """
    total = 0.0
    for one in tree(pid):
        fields = stat(one)
        try:
            # What clock_getcpuclockid(3) computes.
            total += time.clock_gettime((~one << 3) | 2)
        except OSError:
            continue
        if fields:
            total += sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
    return total


def pss(pid):
    """Bytes of user memory of the tree, shared pages by their share."""
    total = 0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as text:
                for line in text:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


class Program:
    """A load or origin: lines to its input, lines from its output."""

    def __init__(self, *args):
        self.name = os.path.basename(args[0])
        self.process = subprocess.Popen(
            [str(a) for a in args], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.pending = b""

    def pin(self, index):
        """To the first CPU or the last, -1.

        A paced load leaves CPUs idle, and where the scheduler puts three
        programs then decides who pays for the packets of the timers: half of
        the spread was that.
        """
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(self.process.pid, {cpus[index]})

    def step_back(self):
        """Runs only where nobody else wants to, and yields at once."""
        os.sched_setscheduler(self.process.pid, os.SCHED_IDLE,
                              os.sched_param(0))

    def line(self, patience=PATIENCE):
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + patience
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise RuntimeError(self.name + " does not answer")
            got = os.read(fd, 65536)
            if not got:
                raise RuntimeError(self.name + " has ended")
            self.pending += got
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode()

    def say(self, word=""):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def json(self, patience=PATIENCE):
        return json.loads(self.line(patience))

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Origin:
    def __init__(self, build, pace=0):
        self.program = Program(os.path.join(build, "bench", "origin"),
                               "--listen", "127.0.0.1:0", "--pace", pace)
        if pace:
            self.program.pin(0)
        self.address = self.program.line().split()[1]

    def end(self):
        self.program.end()


class Echo:
    """Sends datagrams back."""

    def __init__(self, build):
        self.program = Program(os.path.join(build, "bench", "udpecho"),
                               "--listen", "127.0.0.1:0")
        self.address = self.program.line().split()[1]

    def end(self):
        self.program.end()


class Bench:
    """Runs loads against subjects."""

    def __init__(self, build):
        self.build = build

    def load(self, subject, origin, work, concurrency, seconds=1.0,
             steps=True, more=()):
        args = [os.path.join(self.build, "bench", "load"), "--proxy",
                subject.address[origin], "--origin", origin, "--protocol",
                subject.way(work), "--work", WORK.get(work, work),
                "--concurrency", concurrency, "--seconds", seconds, *more]
        if work.startswith("tls"):
            args.append("--tls")
        return Program(*args, *(["--steps"] if steps else []))

    def work(self, subject, origin, work, concurrency, seconds):
        more = ["--users", subject.users] if work == "policy" else []
        load = self.load(subject, origin, work, concurrency, seconds,
                         more=more)
        if work == "paced":
            load.pin(-1)
        return self.measured(load, subject)

    @staticmethod
    def measured(load, subject):
        """One measurement: the report, with the CPU used meanwhile."""
        try:
            load.line()  # ready
            before = cpu(subject.process.pid)
            load.say()
            report = load.json()
            time.sleep(0.02)
            report["cpu"] = cpu(subject.process.pid) - before
            load.say()
        finally:
            load.end()
        report["failed"] = sum(report["errors"].values())
        return report

    def idle(self, subject, origin, low, high, work="idle"):
        """Bytes per tunnel, from the slope between two counts."""
        load = self.load(subject, origin, work, high)
        try:
            load.json()
            seen = {}
            for count in (low, high):
                load.say(str(count))
                report = load.json(120)
                if report["open"] != count:
                    return {"failed": count - report["open"],
                            "errors": report["errors"]}
                time.sleep(0.5)
                seen[count] = pss(subject.process.pid)
            load.say("check")
            report = load.json(120)
        finally:
            load.end()
        return {"bytes": (seen[high] - seen[low]) / (high - low),
                "pss_low": seen[low], "pss_high": seen[high],
                "failed": high - report["open"]
                          + sum(report["errors"].values())}

    def fairness(self, subject, bulk_origin, echo_origin, seconds):
        """Round trips on 5 tunnels beside 4 that carry all they can."""
        bulk = self.load(subject, bulk_origin, "down", 4, seconds + 1)
        echo = self.load(subject, echo_origin, "pingpong", 5, seconds)
        try:
            bulk.line()
            echo.line()
            bulk.say()
            time.sleep(0.3)
            echo.say()
            report = echo.json()
            beside = bulk.json()
        finally:
            echo.end()
            bulk.end()
        report["bulk_bytes_per_s"] = beside["bytes"] / beside["seconds"]
        report["failed"] = (sum(report["errors"].values())
                            + sum(beside["errors"].values()))
        return report

    def udp_load(self, subject, echo, associations, rate, seconds, *more):
        return Program(os.path.join(self.build, "bench", "udpload"),
                       "--proxy", f"127.0.0.1:{subject.port}",
                       "--echo", echo.address, "--associations", associations,
                       "--rate", rate, "--seconds", seconds, "--steps", *more)

    def udp(self, subject, echo, associations, rate, burst, seconds):
        """One measurement of datagrams that leave at a rate."""
        load = self.udp_load(subject, echo, associations, rate, seconds,
                             "--burst", burst)
        load.pin(-1)
        echo.program.pin(0)
        return self.measured(load, subject)

    def flood(self, subject, flooded, echo, seconds):
        """Round trips on 5 associations beside 10 that flood.

        What floods yields to everybody else at once: it is the proxy that
        is to be fair here, not the scheduler.
        """
        flood = self.udp_load(subject, flooded, 10, 0, seconds + 0.6,
                              "--gso", 16)
        probe = self.udp_load(subject, echo, 5, 1000, seconds)
        try:
            for program in (flood, probe, flooded.program, echo.program):
                program.pin(-1)
            flood.step_back()
            flooded.program.step_back()
            flood.line()
            probe.line()
            flood.say()
            time.sleep(0.3)
            probe.say()
            report = probe.json()
            beside = flood.json()
        finally:
            probe.end()
            flood.end()
        length = beside["seconds"] or 1
        report["flood_sent_per_s"] = beside["sent"] / length
        report["flood_back_per_s"] = beside["received"] / length
        report["failed"] = (sum(report["errors"].values())
                            + sum(beside["errors"].values()))
        return report
