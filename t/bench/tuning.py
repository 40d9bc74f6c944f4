#!/usr/bin/python3
"""What the settings of spliced-tuning(7) do, each in a network of its own.

    tuning.py --build build NAME...        # no NAME: lists them

Every measurement runs in new network namespaces, so that no setting of this
machine is touched, and takes less than a minute. Needs root; lines between
namespaces are veth or, where they are to be slow or to lose packets, lagtun.
"""
import argparse
import contextlib
import fcntl
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is generated beside the sources
sys.path.insert(1, os.path.join(os.path.dirname(__file__), "..", "func"))

# pylint: disable=wrong-import-position
import measure
import tuning_path
from lib import net
from lib.case import Case, Skip
from tuning_parts import (Daemon, far_end, load, origin, put, quick, say,
                          sysctl, work)


def descriptors(t):
    """Descriptors and kernel memory of idle tunnels, pipes of busy ones."""
    d = Daemon(t)
    o = origin(t)

    def slab():
        with open("/proc/meminfo", encoding="ascii") as text:
            return int(re.search(r"Slab: +(\d+)", text.read())[1]) * 1024

    def fds():
        links = []
        for name in os.listdir(f"/proc/{d.worker}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/{d.worker}/fd/{name}"))
        return len(links), sum(one.startswith("pipe:") for one in links)

    idle = load(d, o, "idle", 9000)
    idle.json()
    seen = []
    for count in (1000, 9000):
        idle.say(str(count))
        assert idle.json(120)["open"] == count
        time.sleep(0.5)
        seen.append((fds()[0], slab(), measure.pss(d.worker)))
    per = [(b - a) / 8000 for a, b in zip(*seen)]
    say(descriptors=per[0], slab_of_all_four_sockets=per[1], user_bytes=per[2])
    idle.end()
    before = fds()[1]
    bulk = load(d, o, "down", 200, 2)
    bulk.line()
    bulk.say()
    time.sleep(1)
    say(pipe_descriptors_before=before, with_200_bulk_tunnels=fds()[1])
    bulk.json()
    bulk.say()
    bulk.end()


def pipe_sizes(pid):
    """Sizes of a process's pipes."""
    sizes = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        with contextlib.suppress(OSError):
            if os.readlink(path).startswith("pipe:"):
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                sizes.append(fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ))
                os.close(fd)
    return sorted(set(sizes))


def pipes(t):
    """Bulk with whole pipes, once the user's pages are used up, and none."""
    user = pwd.getpwnam("nobody")
    os.chmod(t.dir, 0o755)

    def use_up():
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))

    hog = [sys.executable, "-c",
           "import os\nfor _ in range(1100): os.pipe()\n"
           "print(flush=True); input()"]
    o = origin(t)
    cases = {}
    for name, changes in (("whole", {}), ("soft", {}),
                          ("none", {"limits": {"pipes": 0}})):
        d = Daemon(t, changes)
        keeper = None
        if name == "soft":
            keeper = subprocess.Popen(hog, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE,
                                      preexec_fn=use_up)
            t.defer(keeper.kill)
            keeper.stdout.readline()
        work(d, o, "down", 8, 0.5)  # makes its pipes now
        say(case=name, pipe_bytes=pipe_sizes(d.worker))
        if keeper:
            keeper.kill()
            keeper.wait()
        cases[name] = d
    for what in ("down", "up"):
        rounds = {name: [] for name in cases}
        for _ in range(3):
            for name, d in cases.items():
                r = work(d, o, what, 8, 1.5)
                rounds[name].append(r["cpu"] * 1e12 / r["bytes"])
        for name, found in rounds.items():
            say(case=name, work=what, ms_per_gb=statistics.median(found))


def backlog(t):
    """1000 clients at once while the worker stands still for 300 ms."""
    for size, abort in ((128, 0), (128, 1), (4096, 0)):
        sysctl("net.core.somaxconn", size)
        sysctl("net.ipv4.tcp_abort_on_overflow", abort)
        d = Daemon(t, {"workers": 1})
        before = overflows()
        os.kill(d.worker, signal.SIGSTOP)
        found = tuning_path.crowd(d.address, 1000, 8, lambda d=d: os.kill(
            d.worker, signal.SIGCONT))
        say(somaxconn=size, abort_on_overflow=abort,
            overflows=overflows() - before, **found)


def overflows():
    with open("/proc/net/netstat", encoding="ascii") as text:
        lines = text.read().split("\n")
    names = next(i for i, one in enumerate(lines) if "ListenOverflows" in one)
    table = dict(zip(lines[names].split(), lines[names + 1].split()))
    return int(table["ListenOverflows"])


def ports(t):
    """Sessions to one target with 1000 local ports."""
    far = far_end(t)
    net.add_address("10.9.0.3/24", "near0")
    sysctl("net.ipv4.ip_local_port_range", "20000 20999")
    one, two = origin(t, far), origin(t, far)

    def filled(what, *origins, **outbound):
        d = Daemon(t, {"outbound": outbound}, host="10.9.0.1")
        found = []
        for o in origins:
            idle = load(d, o, "idle", 3000, far=far)
            t.defer(idle.end)
            idle.json()
            idle.say("3000")
            found.append(idle.json(60)["open"])
        say(case=what, sessions=found,
            refused_for=d.wait_access()["outcome"])
        d.end()

    filled("one source", one)
    filled("one source, two targets", one, two)
    filled("one named source, two targets", one, two,
           source=["10.9.0.1"])
    filled("two sources", one, source=["10.9.0.1", "10.9.0.3"],
           rotate="per-connection")
    held = []
    for o in (one, two):
        count = 0
        with contextlib.suppress(OSError):
            while count < 3000:
                s = socket.socket()
                held.append(s)
                s.bind(("10.9.0.1", 0))
                s.connect((o.rsplit(":", 1)[0], int(o.rsplit(":", 1)[1])))
                count += 1
        say(case="bind without IP_BIND_ADDRESS_NO_PORT", target=o,
            connections=count)


def ports_near_the_end(t):
    """What a connection costs while most local ports are in use."""
    far = far_end(t)
    o = origin(t, far)
    d = Daemon(t, host="10.9.0.1")
    sysctl("net.ipv4.ip_local_port_range", "20000 28999")
    idle = load(d, o, "idle", 9000, far=far)
    t.defer(idle.end)
    idle.json()
    for held in (0, 2000, 4000, 5000, 7000, 8500):
        idle.say(str(held))
        report = idle.json(60)
        assert report["open"] == held, report
        r = [work(d, o, "connect", 64, 1, far) for _ in range(3)]
        say(held=held, of=9000, us_per_connection=statistics.median(
            one["cpu"] * 1e6 / one["units"] for one in r))


def time_wait(t):
    """Sessions that clients end first, with 1000 local ports."""
    far = far_end(t)
    sysctl("net.ipv4.ip_local_port_range", "20000 20999")
    o = origin(t, far)
    for reuse in (0, 2, 1):
        sysctl("net.ipv4.tcp_tw_reuse", reuse)
        d = Daemon(t, host="10.9.0.1")
        with far.inside():
            found = tuning_path.short_sessions(d.address, o, 6)
        say(tcp_tw_reuse=reuse, **found)
        d.end()
        # The next one finds none of these.
        o = origin(t, far)


def conntrack(t):
    """What tracking costs, by connections on loopback."""
    o = origin(t)
    d = Daemon(t)
    tables = {
        "untracked": "",
        "tracked": "table ip x { chain c { type filter hook input priority 0;"
                   " ct state invalid drop; }; }",
        "tracked, proxy's ports not": "table ip x {"
            " chain c { type filter hook input priority 0;"
            " ct state invalid drop; };"
            " chain r { type filter hook prerouting priority raw;"
            " tcp sport 1024-65535 tcp dport 1024-65535 notrack; };"
            " chain o { type filter hook output priority raw;"
            " tcp sport 1024-65535 tcp dport 1024-65535 notrack; }; }"}
    rounds = {name: [] for name in tables}
    for _ in range(4):
        for name, table in tables.items():
            quick("nft", "flush", "ruleset")
            if table:
                quick("nft", table)
            r = work(d, o, "connect", 64, 1)
            rounds[name].append(r["cpu"] * 1e6 / r["units"])
    for name, found in rounds.items():
        say(case=name, us_per_connection=statistics.median(found))


def offloads(t):
    """Bulk over veth with segmentation left to the interface, and not."""
    far = far_end(t)
    o = origin(t, far)
    d = Daemon(t, host="10.9.0.1")
    for work_name in ("down", "up"):
        for name, off in (("all on", ()), ("gro off", ("gro",)),
                          ("tso, gso off", ("tso", "gso")),
                          ("all off", ("tso", "gso", "gro"))):
            for feature in ("tso", "gso", "gro"):
                state = "off" if feature in off else "on"
                quick("ethtool", "-K", "near0", feature, state)
                quick("nsenter", f"--net={far.path}", "ethtool", "-K", "wan0",
                      feature, state)
            found = [work(d, o, work_name, 8, 1.5, far) for _ in range(3)]
            say(case=name, work=work_name, ms_per_gb=statistics.median(
                r["cpu"] * 1e12 / r["bytes"] for r in found),
                mb_per_s=statistics.median(r["bytes"] / r["seconds"] / 1e6
                                           for r in found))


def workers(t):
    """Threads beside two CPUs."""
    o = origin(t)
    counts = (1, 2, 4, 8)
    daemons = {n: Daemon(t, {"workers": n}) for n in counts}
    for what, tunnels in (("connect", 64), ("pingpong", 100), ("down", 8)):
        rounds = {n: [] for n in counts}
        for _ in range(3):
            for n, d in daemons.items():
                r = work(d, o, what, tunnels, 1)
                unit = r["bytes"] / 1e6 if what == "down" else r["units"]
                rounds[n].append((r["cpu"] * 1e6 / unit, unit / r["seconds"],
                                  r["p99_us"]))
        for n, found in rounds.items():
            us, rate, p99 = map(statistics.median, zip(*found))
            say(work=what, workers=n, us_per_unit=us, units_per_s=rate,
                p99_us=p99)


KEYS = {"P-256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "RSA-2048": ("rsa:2048",), "RSA-3072": ("rsa:3072",),
        "RSA-4096": ("rsa:4096",)}


def tls(t):
    """Full handshakes of TLS 1.3 by key, and resumed ones."""
    o = origin(t)
    found = {}
    for name, how in (("no TLS", None), *KEYS.items()):
        entry = {}
        if how:
            cert, key = (t.path(f"{name}.{x}") for x in ("crt", "key"))
            quick("openssl", "req", "-x509", "-newkey", *how, "-nodes",
                  "-days", "9", "-subj", "/CN=localhost", "-keyout", key,
                  "-out", cert)
            entry = {"tls": [{"name": "e", "certificate": cert, "key": key}]}
        d = Daemon(t, entry, tls=bool(how))
        more = ("--tls",) if how else ()
        runs = [work(d, o, "connect", 32, 1, more=more) for _ in range(3)]
        found[name] = statistics.median(r["cpu"] * 1e6 / r["units"]
                                        for r in runs)
        say(key=name, us_per_connection=found[name],
            more_than_plain=found[name] - found["no TLS"])
        if name in ("P-256", "RSA-2048"):
            for again in (False, True):
                before = measure.cpu(d.pid)
                count = tuning_path.handshakes(d.address, 1000, again)
                say(key=name, resumed=again, by="Python's client",
                    us=(measure.cpu(d.pid) - before) * 1e6 / count)


def udp(t):
    """Datagrams in bursts, by what the sockets' buffers grow to."""
    echo = measure.Program(os.path.join(t.build, "bench", "udpecho"),
                           "--listen", "127.0.0.1:0")
    t.defer(echo.end)
    address = echo.line().split()[1]
    for size in ("4k", "64k", "256k", "4M"):
        d = Daemon(t, {"udp": {"buffer": size},
                       "limits": {"udp_memory": "2G"}})
        for burst in (8, 32):
            program = measure.Program(
                os.path.join(t.build, "bench", "udpload"), "--proxy",
                f"{d.address[0]}:{d.address[1]}", "--echo", address,
                "--associations", 50, "--rate", 50000, "--seconds", 2,
                "--burst", burst, "--steps")
            put(program, echo)
            report = measure.Bench.measured(program, d)
            say(buffer=size, burst=burst, lost_percent=100 - 100
                * report["received"] / report["sent"],
                us=report["cpu"] * 1e6 / report["sent"])


ALL = {f.__name__: f for f in (
    descriptors, pipes, backlog, ports, ports_near_the_end, time_wait,
    conntrack, offloads, workers, tls, udp)} | tuning_path.ALL


def run(build, name):
    folder = tempfile.mkdtemp(prefix="spliced-tuning-")
    t = Case(os.path.abspath(build), folder)
    try:
        net.enter_new()
        ALL[name](t)
    except Skip as why:
        say(not_measured=str(why))
    finally:
        t.finish(True)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("name", nargs="*", choices=[*ALL, []])
    args = parser.parse_args()
    if not args.name:
        for name, one in ALL.items():
            print(f"{name:20} {one.__doc__.splitlines()[0]}")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name in args.name:
        print(f"# {name}", flush=True)
        # Each in a process of its own: it does not leave its namespace.
        pid = os.fork()
        if pid == 0:
            try:
                run(args.build, name)
            except BaseException:  # the parent goes on with the next
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
