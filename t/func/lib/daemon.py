"""The daemon under test: started, watched, stopped and looked at after.

As in production it is a master and one generation, or several after a
reload: `pid` is the master's, `worker` that of the generation that serves.
Only under valgrind, and where a test says `single`, it is one process.  Its
standard error goes to a file of the test, so that it never blocks and a
failed test can show it.
"""
import os
import re
import shlex
import signal
import subprocess
import time

from . import conf as config
from . import proc
from .case import (EXTERNAL, SANITIZED, VALGRIND, Skip, eventually, patient,
                   tool)
from .client import authority
from .control import Control
from .notify import Notify

ADDRESS = re.compile(r'(?:\[([0-9a-fA-F:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d+)')
REPORT = re.compile(r'\w+Sanitizer|runtime error:|\b[Ll]eak|[Aa]ssertion')
PIPE_ENDS = 128  # as many as the daemon may keep for later: 64 pipes
SUN_PATH = 108   # with the zero at its end
READY = r'\bis ready on\b.*\n'

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
                 file=True, wrap=(), wait=True, single=False, program=None,
                 **options):
        t.count += 1
        self.t = t
        self.name = f'{t.count}-spliced'
        self.stopped = False
        self.single = single or VALGRIND
        if EXTERNAL:
            self.use_external(changes, args, env, text, file)
            return
        self.process = self.base = self.master_base = self.found = None
        self.log_path = t.path(self.name + '.log')
        self.notify = Notify(t, t.path(self.name + '.notify'))
        self.conf = config.merge(changes)
        self.control = self.open_control() if file and not text else None
        target = self.conf.get('log', {}).get('target', '')
        self.file_target = target[5:] if target.startswith('file:') else None
        self.command = [program or os.path.join(t.build, 'spliced')]
        if file:
            self.conf_path = t.path(self.name + '.conf')
            self.write(text=text)
            self.command += ['--config', self.conf_path]
        self.command += args
        if self.single:
            self.command.append('--single')
        environment = {**os.environ, **SANITIZER_OPTIONS,
                       'NOTIFY_SOCKET': self.notify.path, **(env or {})}
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [*wrap, *self.valgrind(), *self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={k: v for k, v in environment.items() if v is not None},
                **options)
        self.pid = self.process.pid
        t.defer(self.end)
        self.addresses = []
        if wait:
            self.wait_ready()

    def valgrind(self):
        if not VALGRIND:
            return []
        return [tool('valgrind', 'valgrind'), '--leak-check=full',
                '--errors-for-leak-kinds=definite',
                '--error-exitcode=99', '--quiet', '--vgdb=no',
                '--log-file=' + self.t.path(self.name + '.valgrind')]

    def open_control(self):
        """A control socket of this daemon's own, where the file says none."""
        wanted = self.conf['admin'] = dict(self.conf.get('admin', {}))
        path = self.t.path(self.name + '.ctl')
        if 'socket' not in wanted:
            fits = len(path) < SUN_PATH and not self.single
            wanted['socket'] = path if fits else ''
        path = wanted['socket']
        return Control(self.t, path) if path.startswith('/') else None

    def write(self, changes=None, text=None):
        """Puts another configuration file where the first one was."""
        self.conf = config.merge(changes, self.conf)
        if text is None:
            text = config.render(self.conf)
        # By rename: whoever reads sees the old file or the new one.
        os.rename(self.t.file(self.name + '.new', text), self.conf_path)

    def use_external(self, changes, args, env, text, file):
        if changes or args or env or text or not file or self.single:
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

    def wait_ready(self, generation=1, seconds=20):
        """Waits until that generation accepts, and looks at it."""
        pattern = READY if generation == 1 else \
            READY[:-2] + rf'\bgeneration {generation}\b.*\n'
        line = self.wait_log(pattern, seconds)[0]
        self.addresses = parse_ready(line)
        assert self.addresses, f'no address in {line!r}'
        self.found = None
        self.rebase()

    def rebase(self):
        """Takes what is open now for what is open when nothing happens."""
        try:
            self.base = self.least(self.descriptors)
            self.master_base = self.least(self.master_descriptors)
        except PermissionError:  # it hides them from all but root
            self.base = self.master_base = None

    @staticmethod
    def least(count):
        found = count()
        for _ in range(3):  # what only starting needs may be closed yet
            time.sleep(0.005)
            found &= count()
        return found

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
        return self.notify.next()

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

    # --- its processes ------------------------------------------------------

    @property
    def worker(self):
        """The process that serves: the newest generation that does."""
        if EXTERNAL or self.single:
            return self.pid
        if not self.found or not proc.alive(self.found):
            self.found = eventually(self.find_worker, 10,
                                    'a generation that serves')
        return self.found

    def find_worker(self):
        assert self.process.poll() is None, \
            f'it ended with {self.process.returncode}'
        if self.control:
            return (self.serving() or {'pid': None})['pid']
        return (proc.children(self.pid) or [None])[-1]

    def generations(self):
        """What the master says of its generations, the oldest first."""
        if EXTERNAL or self.single:
            raise Skip('needs a master')
        return self.control.generations()

    def serving(self):
        """What it says of the one that serves, or None."""
        found = [g for g in self.generations() if g['state'] == 'serving']
        return found[-1] if found else None

    def wait_alone(self, seconds=10):
        """Waits until only the generation that serves is left."""
        eventually(lambda: len(proc.children(self.pid)) == 1, seconds,
                   lambda: f'processes {proc.children(self.pid)} of '
                           f'{self.pid}')

    def wait_retired(self, seconds=10):
        """Waits until none but the generation that serves accepts."""
        def others():
            return [p for p in proc.children(self.pid) if p != self.worker and
                    proc.listening() & proc.polled(p)]
        eventually(lambda: not others(), seconds,
                   lambda: f'processes {others()} still accept')

    def assert_polled(self):
        """Somebody accepts from every socket that listens for us.

        One that nobody does is a black hole: the kernel goes on giving it
        its share of the clients.
        """
        def lost():
            polled = proc.polled(self.worker)
            return {a: sockets for a in self.addresses
                    if (sockets := proc.listening(a) - polled)}
        for a in self.addresses:
            assert proc.listening(a), f'{a} is closed'
        eventually(lambda: not lost(), 5,
                   lambda: f'nobody accepts from {lost()}')

    def family(self):
        """All processes of this daemon, those too that lost their master."""
        return proc.running(self.command)

    def reload(self, changes=None, text=None, fails=None, seconds=30,
               rebase=None):
        """Reloads with a changed file, to the end; `fails`: a pattern.

        Returns what splicedctl said.  Tests with sessions under way say
        rebase=False: descriptors then have to come back to those of before.
        """
        if EXTERNAL or self.single:
            raise Skip('needs a master')
        if changes is not None or text is not None:
            self.write(changes, text)
        before = (self.serving() or {'generation': 0})['generation']
        done = self.control.run('reload', '--wait', seconds=seconds)
        said = done.out + done.err
        self.found = None
        if fails:
            assert done.returncode == 1, f'{done.returncode}: {said}'
            assert re.search(fails, said), f'{fails!r} is not in {said!r}'
            return said
        assert done.returncode == 0, f'{done.returncode}: {said}'
        now = self.control.status()
        assert now['generation'] > before, f'{now} after {before}'
        self.addresses = [parse_address(a) for a in now['addresses']
                          if ADDRESS.search(a)]  # or a UNIX socket
        self.wait_retired()
        if changes is not None or text is not None if rebase is None \
                else rebase:
            self.wait_alone()
            self.rebase()
        return said

    # --- what it uses -------------------------------------------------------

    def descriptors(self):
        if EXTERNAL:
            return None
        return proc.descriptors(self.worker)

    def master_descriptors(self):
        """Those of the master, without listening sockets."""
        count = proc.descriptors(self.pid)
        count['socket'] -= len(proc.listening() &
                               set(proc.sockets(self.pid).values()))
        return count

    def memory(self):
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        return proc.memory(self.worker)

    def cpu(self):
        if EXTERNAL:
            raise Skip('fine as far as another proxy can tell')
        return proc.cpu(self.worker)

    def at_rest(self):
        try:
            now = self.descriptors()
        except FileNotFoundError:  # an old generation that has just ended
            return False
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

    def wait_master_rest(self, seconds=10):
        """Waits until the master holds what one generation needs."""
        if EXTERNAL or self.single or not self.master_base:
            return
        self.wait_alone(seconds)
        eventually(lambda: self.master_descriptors() <= self.master_base,
                   seconds,
                   lambda: f'the master has {proc.links(self.pid)}, '
                           f'{dict(self.master_base)} at first')

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
        self.wait_gone()

    def wait_gone(self, seconds=5):
        """Waits until none of its processes is left."""
        eventually(lambda: not self.family(), seconds,
                   lambda: f'processes {self.family()} are left')

    def kill(self):
        """Ends the master, and nobody else, without a warning."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.stopped = True

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
        self.wait_master_rest()
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
            proc.kill(*self.family())


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
