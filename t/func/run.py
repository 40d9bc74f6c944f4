#!/usr/bin/python3
"""Runs the functional tests against a built daemon.

    t/func/run.py --build DIR [--slow] [--valgrind] [-k PATTERN] [-j N]
                  [--list] [--keep]

Every test runs in a process and a folder of its own and has a time limit.
One line per test, and after a failure its traceback and the logs of what it
had started.  A test that fails beside others runs once more by itself, which
decides: it is then told as unsteady.  Exit status 0: none failed, and no more
than a few are unsteady.
"""
import argparse
import fnmatch
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

PASSED, FAILED, SKIPPED = 0, 1, 77
SLOWNESS = {'': 1, 'asan': 3, 'tsan': 5, 'valgrind': 8}
LOG_LINES = 120  # of each log that a failed test shows
UNSTEADY_MAX = 4  # more of these in a run are a failure


class Test:
    """One test function, with one value if it runs for several."""

    def __init__(self, module, function, value=None):
        self.function = function
        self.args = [] if value is None else [value]
        self.marks = getattr(function, 'marks', {})
        self.name = module[5:] + '.' + function.__name__[5:]
        if value is not None:
            text = str(value)
            if not text.isprintable() or not 0 < len(text) < 40:
                text = ascii(value)[:40]
            self.name += f'[{text}]'

    def mark(self, name, default=False):
        return self.marks.get(name, default)


class Running:
    """A test's process."""

    count = 0

    def __init__(self, test, build, parent, limit):
        Running.count += 1
        self.test = test
        self.dir = tempfile.mkdtemp(prefix='t-', dir=parent)
        os.chmod(self.dir, 0o755)
        self.started = time.monotonic()
        self.limit = limit
        self.late = False
        sys.stdout.flush()  # or the child says it again
        self.pid = os.fork()
        if self.pid == 0:
            self.child(build)

    def child(self, build):
        status = FAILED
        try:
            os.setsid()
            # Whoever started us in the background may have it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ['SPLICED_TEST'] = str(self.count)
            out = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.chdir(self.dir)
            status = perform(self.test, build, self.dir)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    @property
    def path(self):
        return os.path.join(self.dir, 'test.out')

    @property
    def seconds(self):
        return time.monotonic() - self.started

    def poll(self):
        """The exit status, or None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self.end_group(signal.SIGKILL)
            return code
        if self.seconds > self.limit and not self.late:
            self.late = True
            os.kill(self.pid, signal.SIGUSR1)  # its traceback, see perform
            time.sleep(0.2)
            self.end_group(signal.SIGKILL)
        return None

    def end_group(self, signo):
        """Ends what the test has started and left behind."""
        try:
            os.killpg(self.pid, signo)
        except ProcessLookupError:
            pass


def perform(test, build, directory):
    """Runs one test in this process and says how it went."""
    import faulthandler
    from lib import case, net

    faulthandler.register(signal.SIGUSR1, all_threads=True)
    t = case.Case(build, directory)
    failed = True
    try:
        try:
            if test.mark('netns'):
                net.enter_new()
            test.function(t, *test.args)
            failed = False
        finally:
            t.finish(failed)
        return PASSED
    except case.Skip as skip:
        print(f'skip: {skip}')
        return SKIPPED
    except PermissionError as e:
        if os.geteuid() == 0 or not str(e.filename).startswith('/proc/'):
            raise
        print(f'skip: only root may look at {e.filename}')
        return SKIPPED
    except Exception:
        traceback.print_exc()
        return FAILED


def find(pattern):
    """All tests of the folder, in the order of files and lines."""
    tests = []
    for file in sorted(os.listdir(HERE)):
        if not (file.startswith('test_') and file.endswith('.py')):
            continue
        name = file[:-3]
        module = importlib.import_module(name)
        functions = [f for n, f in vars(module).items() if
                     n.startswith('test_') and f.__module__ == name]
        functions.sort(key=lambda f: f.__code__.co_firstlineno)
        for f in functions:
            values = getattr(f, 'marks', {}).get('values')
            if values:
                tests += [Test(name, f, v) for v in values]
            else:
                tests.append(Test(name, f))
    if pattern:
        tests = [x for x in tests if pattern in x.name or
                 fnmatch.fnmatchcase(x.name, pattern)]
    return tests


def sanitizer(program):
    """The sanitizer that a program was built with: '', asan or tsan."""
    with open(program, 'rb') as f:
        text = f.read()
    for symbol, name in ((b'__asan_init', 'asan'), (b'__tsan_init', 'tsan')):
        if symbol in text:
            return name
    return ''


def show(running):
    """Prints what a failed test said and the logs in its folder."""
    files = sorted(os.listdir(running.dir))
    logs = [n for n in files if n.endswith(('.log', '.valgrind'))]
    for name in ['test.out'] + logs:
        path = os.path.join(running.dir, name)
        if not os.path.exists(path):
            continue
        with open(path, encoding='utf-8', errors='replace') as f:
            lines = f.read().splitlines()
        if not lines:
            continue
        print(f'    --- {name}')
        if len(lines) > LOG_LINES:
            half = LOG_LINES // 2
            lines[half:-half] = [f'... {len(lines) - LOG_LINES} lines ...']
        for line in lines:
            print('    ' + line[:400])


class Report:
    """Counts results and prints a line for each."""

    def __init__(self, keep):
        self.keep = keep
        self.count = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.failures = []
        self.unsteady = []

    def add(self, running, code, beside=False):
        """Takes one that has ended; `beside` others it may yet be repeated.

        Returns whether it is to be.
        """
        if running.late or code not in self.count:
            code = FAILED
        again = code == FAILED and beside
        if again:
            self.unsteady.append(running.test.name)
        else:
            self.count[code] += 1
        word = {PASSED: 'ok  ', FAILED: 'FAIL', SKIPPED: 'skip'}[code]
        line = f'{word} {running.seconds:6.1f} s  {running.test.name}'
        if running.late:
            line += f' (not done after {running.limit:g} s)'
        if code == SKIPPED:
            with open(running.path, encoding='utf-8') as f:
                line += ': ' + f.read().strip().removeprefix('skip: ')
        print(line, flush=True)
        if code == FAILED:
            show(running)
            if not again:
                self.failures.append(running.test.name)
        if not (self.keep and code == FAILED):
            shutil.rmtree(running.dir, ignore_errors=True)
        return again

    def finish(self):
        unsteady = [x for x in self.unsteady if x not in self.failures]
        for name in unsteady:
            print(f'unsteady {name}')
        if len(unsteady) > UNSTEADY_MAX:
            self.count[PASSED] -= len(unsteady)
            self.count[FAILED] += len(unsteady)
            self.failures += unsteady
        for name in self.failures:
            print(f'FAIL {name}')
        print(f'func: {self.count[PASSED]} passed, '
              f'{self.count[FAILED]} failed, {self.count[SKIPPED]} skipped' +
              (f', {len(unsteady)} unsteady' if unsteady else ''))
        return 1 if self.failures else 0


class Queue:
    """The tests that wait, and which of them may begin beside others.

    Ordinary ones come first.  Where time is measured the still ones follow,
    beside each other only, and then the others that want to be alone.  A
    build that is slow in itself measures nothing: there they begin at once,
    two at a time, since most of them load the machine.
    """

    def __init__(self, tests, at_once, measures):
        # The longest first, or all others wait for them at the end.
        tests = sorted(tests, key=lambda x: not x.mark('long'))
        self.at_once = at_once
        self.measures = measures
        self.apart = [x for x in tests if x.mark('alone')]
        self.still = [x for x in tests if measures and x.mark('still')]
        self.others = [x for x in tests if x not in self.apart and
                       x not in self.still]

        self.again = []  # what failed beside others

    def __bool__(self):
        return bool(self.apart or self.still or self.others or self.again)

    def next(self, running):
        """One that may begin now, or None."""
        if len(running) >= self.at_once:
            return None
        if not self.measures and self.apart and \
                len([x for x in running if x.mark('alone')]) < 2:
            return self.apart.pop(0)
        if self.others:
            return self.others.pop(0)
        if self.still and all(x.mark('still') for x in running):
            return self.still.pop(0)
        if self.still or running:
            return None
        if self.apart:
            return self.apart.pop(0)
        return self.again.pop(0) if self.again else None


def run_all(tests, options, report, parent, slowness):
    """Runs the tests, as many at once as may be."""
    waiting = Queue(tests, options.j, slowness == 1)
    running = []
    repeated = set()
    try:
        while waiting or running:
            test = waiting.next([r.test for r in running])
            if test:
                limit = test.mark('timeout', 30) * slowness
                running.append(Running(test, options.build, parent, limit))
                continue
            for r in list(running):
                code = r.poll()
                if code is not None:
                    running.remove(r)
                    beside = len(tests) > 1 and r.test not in repeated
                    if report.add(r, code, beside):
                        repeated.add(r.test)
                        waiting.again.append(r.test)
            time.sleep(0.01)
    finally:
        for r in running:
            r.end_group(signal.SIGKILL)


def arguments():
    p = argparse.ArgumentParser(
        description='Runs the functional tests against a built daemon.')
    p.add_argument('--build', default='build', metavar='DIR',
                   help='where spliced and t/helper were built')
    p.add_argument('--slow', action='store_true', help='the slow ones too')
    p.add_argument('--valgrind', action='store_true',
                   help='under valgrind, those that are worth it')
    p.add_argument('-k', metavar='PATTERN', help='only names that match')
    p.add_argument('-j', type=int, default=4 * (os.cpu_count() or 1),
                   metavar='N', help='how many at once')
    p.add_argument('--list', action='store_true', help='print the names')
    p.add_argument('--keep', action='store_true',
                   help='keep the folders of failed tests')
    return p.parse_args()


def main():
    options = arguments()
    options.build = os.path.abspath(options.build)
    kind = 'valgrind' if options.valgrind else ''
    program = os.path.join(options.build, 'spliced')
    if os.path.exists(program):
        kind = kind or sanitizer(program)
    elif not (options.list or os.environ.get('SPLICED_PROXY')):
        sys.exit(f'{program} has not been built')
    os.environ['SPLICED_SANITIZED'] = '1' if kind.endswith('san') else '0'
    os.environ['SPLICED_VALGRIND'] = '1' if options.valgrind else '0'
    slowness = float(os.environ.setdefault('SPLICED_SLOWNESS',
                                           str(SLOWNESS[kind])))
    tests = find(options.k)
    if not options.slow and not options.k:
        tests = [x for x in tests if not x.mark('slow')]
    if options.valgrind:
        tests = [x for x in tests if x.mark('valgrind')]
    if options.list:
        for x in tests:
            words = [w for w in ('slow', 'alone', 'still', 'netns', 'long')
                     if x.mark(w)]
            print(x.name + (f' ({", ".join(words)})' if words else ''))
        return 0
    raise_limits()
    parent = tempfile.mkdtemp(prefix='spliced-func-')
    os.chmod(parent, 0o755)
    report = Report(options.keep)
    try:
        run_all(tests, options, report, parent, slowness)
    finally:
        if options.keep and report.failures:
            print(f'kept in {parent}')
        else:
            shutil.rmtree(parent, ignore_errors=True)
    return report.finish()


def raise_limits():
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == '__main__':
    sys.exit(main())
