"""What all measurements of tuning.py are made of."""
import os
import signal
import subprocess

import measure
from lib import daemon, net
from lib.case import tool

HOME = os.readlink("/proc/self/ns/net")  # where this was started


def say(**found):
    """A line of what was found."""
    print("  " + "  ".join(
        f"{k}={v:,.1f}" if isinstance(v, float) else f"{k}={v}"
        for k, v in found.items()), flush=True)


def sysctl(name, value):
    """Sets one of the namespace that this thread is in."""
    path = "/proc/sys/" + name.replace(".", "/")
    assert os.readlink("/proc/thread-self/ns/net") != HOME, \
        "the machine's own settings stay"
    with open(path, "w", encoding="ascii") as text:
        text.write(str(value))


def quick(name, *args):
    """Runs a program that ends at once."""
    subprocess.run([tool(name, name), *args], check=True, capture_output=True,
                   timeout=30)


class Daemon(daemon.Daemon):
    """The daemon as it ships, but for `changes`; one listener on `host`."""

    def __init__(self, t, changes=None, host="127.0.0.1", tls=False):
        # Of its own: local ports may all be in use.
        listener = {"name": "lan", "address": [f"{host}:{1080 + t.count}"]}
        if tls:
            listener["tls"] = "e"
        super().__init__(t, {"listeners": [listener], **(changes or {})})

    def end(self):
        """Cuts what is left."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(10)

    def wait_ready(self, *args, **options):
        try:
            super().wait_ready(*args, **options)
        except AssertionError:
            say(log=self.log())
            raise


def origin(t, far=None):
    """The far end of the benchmark; its address."""
    before = ["nsenter", f"--net={far.path}"] if far else []
    host = far.address if far else "127.0.0.1"
    program = measure.Program(*before, os.path.join(t.build, "bench",
                                                    "origin"),
                              "--listen", f"{host}:0")
    t.defer(program.end)
    return program.line().split()[1]


def far_end(t):
    """A namespace for clients and targets, at the end of a cable."""
    far = net.Namespace(t)
    far.address = "10.9.0.2"
    net.join("near0", far)
    net.add_address("10.9.0.1/24", "near0")
    far.ip("address", "add", "10.9.0.2/24", "dev", "wan0")
    return far


def load(d, where, kind, concurrency, seconds=1.0, far=None, more=()):
    """A load that is ready to begin."""
    before = ["nsenter", f"--net={far.path}"] if far else []
    return measure.Program(
        *before, os.path.join(d.t.build, "bench", "load"), "--proxy",
        f"{d.address[0]}:{d.address[1]}", "--origin", where, "--protocol",
        "socks5", "--work", kind, "--concurrency", concurrency, "--seconds",
        seconds, "--steps", *more)


def work(d, where, kind, concurrency, seconds, far=None, more=()):
    """One measurement of the daemon's CPU."""
    report = measure.Bench.measured(
        load(d, where, kind, concurrency, seconds, far, more), d)
    assert not report["failed"], report
    return report


def put(program, echo):
    """Load and echo on CPUs of their own, as the benchmark has them."""
    program.pin(-1)
    echo.pin(0)
