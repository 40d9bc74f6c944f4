"""Network namespaces: one for the test, more for what is far away."""
import contextlib
import ctypes
import os
import signal
import subprocess

from .case import Skip, eventually, tool

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def ip(*args, pid=None):
    """Runs ip(8), in the namespace of process `pid` if one is given."""
    command = [tool('ip', 'iproute2'), *args]
    if pid:
        command = ['nsenter', f'--net=/proc/{pid}/ns/net', *command]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f'ip {" ".join(args)}: {done.stderr.decode()}')
    return done.stdout.decode()


def enter_new():
    """Gives this process a network of its own, with loopback alone."""
    if libc.unshare(CLONE_NEWNET):
        raise Skip('no rights to make a network namespace: '
                   f'{os.strerror(ctypes.get_errno())}')
    ip('link', 'set', 'lo', 'up')


def add_address(address, device='lo'):
    """Adds an address (with its prefix length) and waits until it is up."""
    nodad = ['nodad'] if ':' in address else []
    ip('address', 'add', address, 'dev', device, *nodad)


class Namespace:
    """Another network namespace, for as long as the test runs."""

    def __init__(self, t):
        self.process = subprocess.Popen(
            [tool('unshare', 'util-linux'), '-n', 'cat'],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        t.defer(self.close)
        ours = os.readlink('/proc/self/ns/net')
        eventually(lambda: os.readlink(self.path) != ours,
                   said='a second network namespace')
        self.ip('link', 'set', 'lo', 'up')

    @property
    def path(self):
        return f'/proc/{self.pid}/ns/net'

    def ip(self, *args):
        return ip(*args, pid=self.pid)

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens in the block is opened over there."""
        home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(there)
            os.close(home)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def join(near, far, name='wan0'):
    """A cable between this namespace and `far`; skips without veth."""
    try:
        ip('link', 'add', near, 'type', 'veth', 'peer', 'name', name,
           'netns', str(far.pid))
    except AssertionError as e:
        raise Skip(f'this kernel has no veth: {e}') from None
    ip('link', 'set', near, 'up')
    far.ip('link', 'set', name, 'up')


def dummy(name, address=None):
    """An interface that goes nowhere; skips if the kernel has none."""
    try:
        ip('link', 'add', name, 'type', 'dummy')
    except AssertionError:
        # An interface whose other end nobody reads does as well.
        try:
            ip('tuntap', 'add', 'dev', name, 'mode', 'tun')
        except AssertionError as e:
            raise Skip(f'no dummy or tun interface: {e}') from None
    if address:
        add_address(address, name)
    ip('link', 'set', name, 'up')


class Lag:
    """A bad line from here (10.77.0.1) to a far network (10.77.0.2)."""

    def __init__(self, t, *how):
        if not os.path.exists('/dev/net/tun'):
            raise Skip('this kernel has no /dev/net/tun')
        self.far = Namespace(t)
        self.process = t.start(
            t.helper('lagtun'), '/proc/self/ns/net', '10.77.0.1',
            self.far.path, '10.77.0.2', *map(str, how),
            stdout=subprocess.PIPE)
        if b'ready' not in self.process.stdout.readline():
            raise Skip('no tun interface can be made here')

    def cut(self):
        """Cuts the line, or joins it again."""
        self.process.send_signal(signal.SIGUSR1)
