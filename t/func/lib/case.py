"""A test's context: its folder, what it started, how patient it is.

A test is a function `test_...(t)` in a file test_*.py, `t` a Case.  Marks
say how to run it; everything that it starts through `t` is ended after it.
"""
import os
import shutil
import subprocess
import time

# How much slower than a plain build on a quiet machine things may be: the
# runner sets it, 1 for a plain build, more under a sanitizer or valgrind.
SLOWNESS = float(os.environ.get('SPLICED_SLOWNESS', '1'))
SANITIZED = os.environ.get('SPLICED_SANITIZED') == '1'
VALGRIND = os.environ.get('SPLICED_VALGRIND') == '1'
# A proxy that runs already, ADDR:PORT, to try the tests themselves with.
EXTERNAL = os.environ.get('SPLICED_PROXY')


class Skip(Exception):
    """This machine cannot run the test; the text says what it lacks."""


def mark(**marks):
    """Makes a decorator that notes `marks` on a test."""
    def note(test):
        test.__dict__.setdefault('marks', {}).update(marks)
        return test
    return note


slow = mark(slow=True)          # only with --slow
alone = mark(alone=True)        # no other test beside it: it measures time
still = mark(still=True)        # only such ones beside it: it mostly waits
long = mark(long=True)          # takes some seconds, so it begins early
netns = mark(netns=True)        # in a network namespace of its own
valgrind = mark(valgrind=True)  # is worth its time under valgrind


def timeout(seconds):
    """Gives a test more time than the usual half a minute."""
    return mark(timeout=seconds)


def each(*values):
    """Runs a test once for each value, as test(t, value)."""
    return mark(values=values)


def patient(seconds):
    """As many seconds as `seconds` are on this build."""
    return seconds * SLOWNESS


def fewer(count, divisor=4):
    """`count`, or less of it where every step is slow."""
    return count if SLOWNESS == 1 else max(1, count // divisor)


def eventually(what, seconds=10, said=None):
    """Waits until what() is true and returns it."""
    end = time.monotonic() + patient(seconds)
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            text = said() if callable(said) else said
            raise AssertionError(f'not after {patient(seconds):g} s: '
                                 f'{text or what}')
        time.sleep(0.005)


def measured(limit):
    """A limit of memory or time that only a plain build must keep."""
    return limit if SLOWNESS == 1 else float('inf')


def same(got, wanted):
    """Fails with both values unless they are equal."""
    if got != wanted:
        raise AssertionError(f'{shown(got)}, not {shown(wanted)}')


def shown(value):
    text = repr(value)
    return text if len(text) < 300 else f'{text[:300]}... ({len(text)})'


def tool(name, package):
    """The path of a program, or a skip that names its Debian package."""
    path = shutil.which(name, path=os.environ.get('PATH', '') +
                        ':/usr/sbin:/sbin')
    if not path:
        raise Skip(f'{name} is missing: apt-get install {package}')
    return path


class Case:
    """What one test has: `dir`, `build`, and what it started."""

    def __init__(self, build, directory):
        self.build = build
        self.dir = directory
        self.failed = False
        self.endings = []
        self.count = 0

    def defer(self, call, *args):
        """Calls call(*args) after the test, the last deferred first."""
        self.endings.append((call, args))

    def finish(self, failed):
        """Ends all; after a failed test without looking at what is left."""
        self.failed = failed
        first = None
        for call, args in reversed(self.endings):
            try:
                call(*args)
            except Exception as e:  # all endings must have their turn
                first = first or e
        if first and not failed:
            raise first

    def path(self, name):
        return os.path.join(self.dir, name)

    def file(self, name, text, mode=0o644):
        """Writes a file into the test's folder and returns its path."""
        path = self.path(name)
        with open(path, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def folder(self, name, owner=None):
        """Makes a folder that `owner` (a user's name) may write into."""
        path = self.path(name)
        os.mkdir(path)
        os.chmod(path, 0o755)
        if owner and os.geteuid() == 0:
            shutil.chown(path, owner)
        return path

    def helper(self, name):
        """The path of a program that was built from t/helper."""
        path = os.path.join(self.build, 't/helper', name)
        if not os.path.exists(path):
            raise AssertionError(f'{path} has not been built')
        return path

    def start(self, *command, **options):
        """Starts a program whose output goes to a log of the test."""
        self.count += 1
        name = f'{self.count}-{os.path.basename(command[0])}.log'
        with open(self.path(name), 'wb') as log:
            options.setdefault('stdout', log)
            options.setdefault('stderr', log)
            options.setdefault('stdin', subprocess.DEVNULL)
            process = subprocess.Popen(command, **options)
        process.log = self.path(name)
        self.defer(end, process)
        return process

    def run(self, *command, seconds=20, **options):
        """Runs a program to its end and returns it with its output."""
        options.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.run(command, capture_output=True, check=False,
                              timeout=patient(seconds), **options)


def end(process):
    """Ends a program that a test started, if it still runs."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patient(3))
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
