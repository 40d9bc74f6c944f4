"""The daemon under test: started, watched, stopped and looked at after.

Its standard error goes to a file of the test, so that it never blocks and a
failed test can show it.
"""
import os
import re
import shlex
import signal
import socket
import subprocess
import time

from . import conf as config
from . import proc
from .case import (EXTERNAL, SANITIZED, VALGRIND, Skip, eventually, patient,
                   tool)
from .client import authority

ADDRESS = re.compile(r'(?:\[([0-9a-fA-F:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d+)')
REPORT = re.compile(r'Sanitizer|runtime error:|\bleak|Assertion|assertion',
                    re.I)
PIPE_ENDS = 128  # as many as the daemon may keep for later: 64 pipes

SANITIZER_OPTIONS = {
    'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=0:'
                    'detect_stack_use_after_return=0',
    'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
    'TSAN_OPTIONS': 'exitcode=66:second_deadlock_stack=1',
}


def parse_address(text):
    m = ADDRESS.search(text)
    return (m[1] or m[2], int(m[3]))


def parse_ready(line):
    """The addresses that a ready line names, an example of use aside."""
    return [(m[0] or m[1], int(m[2])) for m in
            ADDRESS.findall(line.split('curl')[0])]


def parse_logfmt(line):
    """The pairs of a logfmt line as a dict."""
    return {k: v[1:-1] if v.startswith('"') else v for k, v in
            re.findall(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|\S*)', line)}


class Daemon:
    """One running daemon.  `addresses` are those of its ready line."""

    def __init__(self, t, changes=None, args=(), env=None, text=None,
                 file=True, wrap=(), wait=True, **options):
        t.count += 1
        self.t = t
        self.name = f'{t.count}-spliced'
        self.stopped = False
        if EXTERNAL:
            self.use_external(changes, args, env, text, file)
            return
        self.process = None
        self.log_path = t.path(self.name + '.log')
        self.notify = self.open_notify()
        conf = config.merge(changes)
        target = conf.get('log', {}).get('target', '')
        self.file_target = target[5:] if target.startswith('file:') else None
        command = self.command(wrap)
        if file:
            text = config.render(conf) if text is None else text
            self.conf_path = t.file(self.name + '.conf', text)
            command += ['--config', self.conf_path]
        command += args
        environment = {**os.environ, **SANITIZER_OPTIONS,
                       'NOTIFY_SOCKET': self.notify.getsockname(),
                       **(env or {})}
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={k: v for k, v in environment.items() if v is not None},
                **options)
        self.pid = self.process.pid
        t.defer(self.end)
        self.addresses = []
        if wait:
            self.wait_ready()

    def command(self, wrap):
        command = list(wrap)
        if VALGRIND:
            command += [tool('valgrind', 'valgrind'), '--leak-check=full',
                        '--errors-for-leak-kinds=definite',
                        '--error-exitcode=99', '--quiet', '--vgdb=no',
                        '--log-file=' + self.t.path(self.name + '.valgrind')]
        return command + [os.path.join(self.t.build, 'spliced')]

    def open_notify(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.t.path(self.name + '.notify')
        s.bind(path)
        os.chmod(path, 0o777)
        s.settimeout(patient(10))
        self.t.defer(s.close)
        return s

    def use_external(self, changes, args, env, text, file):
        if changes or args or env or text or not file:
            raise Skip('needs the daemon itself')
        self.process = None
        self.addresses = [parse_address(a) for a in EXTERNAL.split(',')]

    # --- what it says -------------------------------------------------------

    def log(self):
        """All that it has logged so far."""
        text = ''
        for path in (self.log_path, self.file_target):
            if path and os.path.exists(path):
                with open(path, 'rb') as f:
                    text += f.read().decode('utf-8', 'replace')
        return text

    def wait_log(self, pattern, seconds=10):
        """Waits for a line that matches and returns the match."""
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        wanted = re.compile(pattern)

        def look():
            match = wanted.search(self.log())
            if not match and self.process.poll() is not None:
                match = wanted.search(self.log())
                assert match, f'it ended with {self.process.returncode}'
            return match
        return eventually(look, seconds, f'{pattern!r} in the log')

    def wait_ready(self):
        line = self.wait_log(r'.*\bready\b.*\n', 20)[0]
        self.addresses = parse_ready(line)
        assert self.addresses, f'no address in {line!r}'
        try:
            self.base = self.descriptors()
            for _ in range(3):  # what only starting needs may be closed yet
                time.sleep(0.005)
                self.base &= self.descriptors()
        except PermissionError:  # it hides them from all but root
            self.base = None

    def access(self, **wanted):
        """The access lines so far whose fields are as wanted."""
        lines = [parse_logfmt(line) for line in self.log().split('\n')
                 if re.search(r'\baccess\b.*\boutcome=', line)]
        return [f for f in lines if
                all(f.get(k) == str(v) for k, v in wanted.items())]

    def wait_access(self, count=1, seconds=10, **wanted):
        """Waits for that many such lines and returns the last one."""
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        found = eventually(
            lambda: (f := self.access(**wanted))[count - 1:] and f, seconds,
            lambda: f'{count} access lines with {wanted}, '
                    f'there are {self.access()[-10:]}')
        return found[-1]

    def session(self, s):
        """What to call, once `s` is done, for the line of its session."""
        name = authority(*s.getsockname()[:2])
        return lambda: self.wait_access(client=name)

    def notified(self):
        """The next message to the service manager, as a dict."""
        text = self.notify.recv(4096).decode()
        return dict(line.split('=', 1) for line in text.splitlines())

    # --- where it is --------------------------------------------------------

    @property
    def address(self):
        """An address to connect to: the first one, IPv4 as a rule."""
        return self.addresses[0]

    def at(self, host):
        """The address with this host."""
        for a in self.addresses:
            if a[0] == host:
                return a
        raise AssertionError(f'it serves {self.addresses}, not {host}')

    # --- what it uses -------------------------------------------------------

    def descriptors(self):
        if EXTERNAL:
            return None
        return proc.descriptors(self.pid)

    def memory(self):
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        return proc.memory(self.pid)

    def cpu(self):
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        return proc.cpu(self.pid)

    def at_rest(self):
        now = self.descriptors()
        return (now['socket'] <= self.base['socket'] and
                now['other'] <= self.base['other'] and
                now['pipe'] <= self.base['pipe'] + PIPE_ENDS)

    def wait_rest(self, seconds=10):
        """Waits until no session holds a descriptor any more."""
        if EXTERNAL or not self.base:
            return
        eventually(self.at_rest, seconds,
                   lambda: f'{dict(self.descriptors())} descriptors, '
                           f'{dict(self.base)} at first')

    # --- its end ------------------------------------------------------------

    def signal(self, signo):
        if EXTERNAL:
            raise Skip('needs the daemon itself')
        self.process.send_signal(signo)

    def wait_exit(self, code=0, seconds=10):
        try:
            got = self.process.wait(patient(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f'still there after {patient(seconds):g} s') from None
        self.stopped = True
        self.assert_clean()
        assert got == code, f'exit status {got}, not {code}'

    def assert_clean(self):
        """No sanitizer or valgrind had anything to say."""
        text = self.log()
        found = REPORT.search(text)
        assert not found, f'{found[0]!r} in the log'
        path = self.t.path(self.name + '.valgrind')
        if VALGRIND and os.path.exists(path):
            with open(path, encoding='utf-8', errors='replace') as f:
                text = f.read()
            assert not text.strip(), 'valgrind:\n' + text

    def stop(self):
        """Ends it in order: nothing may be left, nothing reported."""
        if EXTERNAL or self.stopped:
            return
        assert self.process.poll() is None, \
            f'it ended by itself with {self.process.returncode}'
        self.wait_rest()
        self.signal(signal.SIGTERM)
        self.wait_exit(0)

    def end(self):
        """What happens to it after the test."""
        try:
            # After a failure it is ended at once: `stop` would blame it
            # for what the test left open.
            if not self.stopped and not self.t.failed:
                self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def once(t, *args, env=None, seconds=20, **options):
    """Runs the program to its end with these arguments."""
    if EXTERNAL:
        raise Skip('needs the daemon itself')
    program = os.path.join(t.build, 'spliced')
    environment = {**os.environ, **SANITIZER_OPTIONS, **(env or {})}
    environment.pop('NOTIFY_SOCKET', None)
    done = t.run(program, *args, env=environment, seconds=seconds, **options)
    done.out = done.stdout.decode('utf-8', 'replace')
    done.err = done.stderr.decode('utf-8', 'replace')
    t.file(f'once-{t.count}.log', f'$ spliced {shlex.join(args)}\n'
           f'{done.out}{done.err}exit status {done.returncode}\n')
    t.count += 1
    assert not REPORT.search(done.err), done.err
    return done


def check(t, text, *args):
    """Runs --check on a file of this text; its path is done.path."""
    path = t.file(f'check-{t.count}.conf', text)
    done = once(t, '--config', path, '--check', *args)
    done.path = path
    return done


def seconds_for(call):
    """How long call() takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


__all__ = ['Daemon', 'SANITIZED', 'check', 'once', 'parse_address',
           'parse_logfmt', 'seconds_for']
