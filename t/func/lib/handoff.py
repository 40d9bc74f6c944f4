"""A master for one generation: what it is started with and told.

The generation is started as the real master does it: descriptors from 3 on,
the control socket behind them, and the environment that names them.
"""
import array
import collections
import fcntl
import os
import re
import signal
import socket
import struct

from . import conf as config
from .case import eventually, patient
from .daemon import SANITIZER_OPTIONS, parse_ready

MAGIC = 0x31487053
HEAD = struct.Struct('=IIIIqqqII16x')

SEGMENT, SOCKETS, UNCLAIMED, PREPARED, FAILED, ACCEPTING, STOPPED = \
    range(1, 8)
ACK, GO, DRAIN, FINISH, SHUTDOWN, HALT, REOPEN, ADOPT, GONE = range(64, 73)

SO_COOKIE = 57
# What a sanitizer says; the daemon itself names one in small letters.
REPORT = re.compile(r'Sanitizer|runtime error:|\b[Ll]eak|[Aa]ssertion')
FIRST_FD = 3
# Not what the test runner itself was started with.
MASTERS = ('NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS',
           'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID')

Settings = collections.namedtuple(
    'Settings', 'generations start_ms shutdown_ms watchdog_ms')


class Message:
    """One message of a generation; `fds` are ours to close."""

    def __init__(self, data, fds):
        (magic, self.type, self.number, generations, start, shutdown,
         watchdog, text_len, cookies) = HEAD.unpack_from(data)
        assert magic == MAGIC, hex(magic)
        self.settings = Settings(generations, start, shutdown, watchdog)
        end = HEAD.size + text_len
        self.text = data[HEAD.size:end].decode()
        self.cookies = list(struct.unpack_from(f'={cookies}Q', data, end))
        assert len(data) == end + 8 * cookies
        self.fds = fds

    def __repr__(self):
        return f'message {self.type} {self.text!r} {self.fds}'


def cookie(s):
    return struct.unpack('=Q', s.getsockopt(socket.SOL_SOCKET, SO_COOKIE,
                                            8))[0]


def is_listening(s):
    return bool(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def listening(host='127.0.0.1', port=0, share=True, listen=True,
              v6only=True, backlog=64):
    """A socket as a generation or the service manager would make it."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    s.bind((host, port))
    if listen:
        s.listen(backlog)
    return s


class Generation:
    """A generation and our end of its control socket.

    `sockets` are (name, socket or descriptor) pairs that it gets, in this
    order.  What it sends up is kept in `held`, pairs likewise, and in
    `segment`; `unclaimed` are cookies.
    """

    def __init__(self, t, changes=None, sockets=(), number=1, count=None,
                 pid=None, names=None, text=None, value=None, args=(),
                 single=False):
        t.count += 1
        self.t = t
        self.name = f'{t.count}-generation'
        self.log_path = t.path(self.name + '.log')
        self.conf_path = t.file(
            self.name + '.conf',
            config.render(config.merge(changes)) if text is None else text)
        self.segment = None
        self.held = []
        self.unclaimed = []
        self.settings = None
        self.addresses = []
        self.status = None
        self.args = [os.path.join(t.build, 'spliced'),
                     '--config', self.conf_path, *args]
        self.control, theirs = socket.socketpair(socket.AF_UNIX,
                                                 socket.SOCK_SEQPACKET)
        for s in (self.control, theirs):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        self.control.settimeout(patient(20))
        fds = [s if isinstance(s, int) else s.fileno() for _, s in sockets]
        env = {**os.environ, **SANITIZER_OPTIONS}
        for key in MASTERS:
            env.pop(key, None)
        control = FIRST_FD + len(fds)
        count = len(fds) if count is None else count
        if not single:
            env['SPLICED_GENERATION'] = \
                value or f'{number} {control} {count}'
        if fds or names is not None:
            env['LISTEN_FDS'] = str(len(fds))
            env['LISTEN_FDNAMES'] = names if names is not None else \
                ':'.join(name for name, _ in sockets)
        self.pid = os.fork()
        if self.pid == 0:
            self.child(fds + [theirs.fileno()], env, pid)
        theirs.close()
        t.defer(self.end)

    def child(self, fds, env, pid):
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT |
                          os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if 'LISTEN_FDS' in env:
                env['LISTEN_PID'] = str(pid or os.getpid())
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 1000)
                    for fd in fds]
            os.closerange(FIRST_FD, 1000)
            for i, fd in enumerate(high):
                os.dup2(fd, FIRST_FD + i, inheritable=True)
            os.execve(self.args[0], self.args, env)
        finally:
            os._exit(127)

    # --- messages -----------------------------------------------------------

    def send(self, kind, text=b'', number=0, fds=()):
        data = HEAD.pack(MAGIC, kind, number, 0, 0, 0, 0, len(text), 0) + text
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array('i', fds))] if fds else []
        self.control.sendmsg([data], control)

    def receive(self):
        """The next message; None when the generation has closed its end."""
        room = socket.CMSG_SPACE(253 * 4)
        data, control, _, _ = self.control.recvmsg(
            1 << 17, room, socket.MSG_CMSG_CLOEXEC)
        fds = array.array('i')
        for level, kind, part in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(part[:len(part) // 4 * 4])
        return Message(data, list(fds)) if data else None

    def take(self, ack=True):
        """Receives one and notes what a master would; returns it."""
        m = self.receive()
        if not m:
            return None
        if m.type == SEGMENT:
            self.segment, = m.fds
            self.t.defer(os.close, self.segment)
        elif m.type == SOCKETS:
            for fd in m.fds:
                s = socket.socket(fileno=fd)
                self.held.append((m.text, s))
                self.t.defer(s.close)
            if ack:
                self.send(ACK)
        elif m.type == UNCLAIMED:
            self.unclaimed += m.cookies
        elif m.type == PREPARED:
            self.settings = m.settings
        elif m.type == ACCEPTING:
            self.addresses = parse_ready(m.text)
        return m

    def until(self, kind, ack=True):
        """Takes messages up to one of this kind, which is returned."""
        while True:
            m = self.take(ack)
            assert m, f'closed before message {kind}: {self.log()}'
            if m.type == kind:
                return m
            assert m.type != FAILED, m.text

    def serve(self):
        """Lets it start and accept; returns self."""
        self.until(PREPARED)
        self.send(GO)
        self.until(ACCEPTING)
        return self

    def fails(self):
        """What it says when it gives up; it must end with status 1."""
        while True:
            m = self.take()
            assert m, 'closed without a reason'
            assert m.type not in (PREPARED, ACCEPTING), 'it did not fail'
            if m.type == FAILED:
                break
        self.wait_exit(1)
        return m.text

    def passed_on(self):
        """What a next generation gets: its sockets and its segment."""
        return self.held + [('segment', self.segment)]

    @property
    def address(self):
        return self.addresses[0]

    # --- the process --------------------------------------------------------

    def log(self):
        if not os.path.exists(self.log_path):
            return ''
        with open(self.log_path, 'rb') as f:
            return f.read().decode('utf-8', 'replace')

    def wait_log(self, text, seconds=10):
        eventually(lambda: text in self.log(), seconds,
                   lambda: f'{text!r} in {self.log()!r}')

    def signal(self, signo):
        os.kill(self.pid, signo)

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait_exit(self, status=0, seconds=10):
        eventually(lambda: self.poll() is not None, seconds, 'its end')
        found = REPORT.search(self.log())
        assert not found, f'{found[0]!r} in the log'
        assert self.status == status, f'{self.status}, not {status}'

    def end(self):
        self.control.close()
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -signal.SIGKILL


# --- What most tests want ---------------------------------------------------

NO_CONTROL = {'admin': {'socket': ''}}


def on(*addresses, name='lan', **changes):
    """A configuration that listens there and has no control socket."""
    return {**NO_CONTROL, **changes, 'listeners': [
        config.listener(name=name, address=list(addresses))]}


def start(t, *addresses, **options):
    """A generation that accepts on these addresses."""
    return Generation(t, on(*(addresses or ['127.0.0.1:0'])),
                      **options).serve()


def port(s):
    return s.getsockname()[1]
