"""spliced as a service of the real systemd, in a box that is thrown away.

t/helper/box.sh boots this machine's own systemd in a container with a network
of its own, which the test enters, too: addresses mean the same to both.
Processes go by the numbers that they have outside, so that lib/proc.py and
os.kill() serve as ever.
"""
import json
import os
import re
import shutil
import subprocess

from . import conf as config
from . import net, proc
from .case import (EXTERNAL, SANITIZED, VALGRIND, Skip, eventually, patient,
                   tool)

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, '..', '..', '..'))
BOX = os.path.join(TOP, 't', 'helper', 'box.sh')

ADDRESS = ('127.0.0.1', 1080)
SOCKET = 'spliced.socket'


def unit_text(name):
    """A file of systemd/ as `make install` with prefix=/usr writes it."""
    with open(os.path.join(TOP, 'systemd', name), encoding='utf-8') as f:
        return f.read().replace('@sbindir@', '/usr/sbin').replace(
            '@sysconfdir@', '/etc')


class Box:
    """A booted systemd; nothing in it is older than the test."""

    def __init__(self, t):
        self.t = t
        self.first = None
        self.folder = t.folder('box')
        log = t.path('box.log')
        with open(log, 'wb') as errors:
            # Not in the test's process group: it outlives a test that is
            # killed, by as long as it takes to clean up.
            self.keeper = subprocess.Popen(
                ['sh', BOX, 'boot', self.folder], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True)
        t.defer(self.end)
        said = self.keeper.stdout.readline().split()
        if not said:
            code = self.keeper.wait()
            with open(log, encoding='utf-8', errors='replace') as f:
                text = f.read().strip()
            if code == 77:
                raise Skip(f'no box: {text}')
            raise AssertionError(f'the box does not boot ({code}): {text}')
        self.first = int(said[1])
        fd = os.open(f'/proc/{self.first}/ns/net', os.O_RDONLY)
        failed = net.libc.setns(fd, net.CLONE_NEWNET)
        os.close(fd)
        assert not failed, 'the network of the box cannot be entered'

    def end(self):
        if self.first and self.t.failed:
            self.t.file('journal.log', self.run(
                'journalctl', '--no-pager', '-o', 'short-precise',
                check=False).stdout)
        self.keeper.stdin.close()
        self.keeper.wait(patient(10))
        self.keeper.stdout.close()

    # --- commands and files -------------------------------------------------

    def start(self, *command, **options):
        """A command that runs inside, as a Popen."""
        return subprocess.Popen(
            ['sh', BOX, 'run', str(self.first), *command],
            stdin=subprocess.DEVNULL, **options)

    def run(self, *command, check=True, seconds=30):
        """Runs a command inside to its end; .out is all that it said."""
        process = self.start(*command, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        try:
            out = process.communicate(timeout=patient(seconds))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f'{command} does not end') from None
        done = subprocess.CompletedProcess(command, process.returncode, out)
        done.out = out.decode('utf-8', 'replace')
        assert not check or done.returncode == 0, \
            f'{" ".join(command)}: {done.returncode}: {done.out}'
        return done

    def path(self, path):
        """What a path inside is called outside."""
        return f'/proc/{self.first}/root{path}'

    def write(self, path, text, mode=0o644):
        outside = self.path(path)
        os.makedirs(os.path.dirname(outside), exist_ok=True)
        with open(outside, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(outside, mode)

    def read(self, path):
        with open(self.path(path), encoding='utf-8', errors='replace') as f:
            return f.read()

    # --- systemd ------------------------------------------------------------

    def systemctl(self, *args, **options):
        return self.run('systemctl', '--no-pager', '--no-ask-password', *args,
                        **options)

    def show(self, unit):
        """The properties of a unit as a dict."""
        text = self.systemctl('show', '--all', unit).out
        return dict(line.split('=', 1) for line in text.splitlines()
                    if '=' in line)

    def version(self):
        text = self.run('systemctl', '--version').out
        return int(re.match(r'systemd (\d+)', text)[1])

    def processes(self, unit):
        """The processes of a unit by their numbers inside."""
        path = self.path(f'/sys/fs/cgroup/system.slice/{unit}/cgroup.procs')
        try:
            with open(path, encoding='ascii') as f:
                pids = [int(n) for n in f.read().split()]
            return {int(proc.status(n)['NSpid'].split()[-1]): n for n in pids}
        except OSError:  # the unit, or one of them, has just ended
            return {}

    def journal(self, unit):
        """What the journal has of a unit, a dict for each entry."""
        out = self.run('journalctl', '--no-pager', '-o', 'json',
                       '-u', unit).out
        return [json.loads(line) for line in out.splitlines()
                if line.startswith('{')]


class Service:
    """spliced.service in a box, installed and configured."""

    unit = 'spliced.service'

    def __init__(self, t, changes=None, drop_ins=(), start=True):
        if EXTERNAL:
            raise Skip('needs the daemon itself')
        if SANITIZED or VALGRIND:
            raise Skip('a run-time that checks needs more than the unit '
                       'allows')
        tool('systemctl', 'systemd')
        self.t = t
        self.box = Box(t)
        self.install()
        self.configure(changes)
        for name in drop_ins:
            self.drop_in(name, unit_text(name))
        if start:
            self.box.systemctl('start', self.unit)

    def install(self):
        box = self.box
        for name in ('spliced', 'splicedctl'):
            shutil.copy(os.path.join(self.t.build, name),
                        box.path('/usr/sbin/' + name))
        for name in ('spliced.service', 'spliced.socket'):
            box.write('/usr/lib/systemd/system/' + name, unit_text(name))
        for name in ('sysusers', 'tmpfiles'):
            box.write(f'/usr/lib/{name}.d/spliced.conf',
                      unit_text(name + '.conf'))
        box.run('systemd-sysusers')

    def configure(self, changes=None, text=None):
        """Writes the file: tests say what differs from their usual one."""
        usual = {'user': None,
                 'listeners': [config.listener(address=['127.0.0.1:1080'])]}
        if text is None:
            text = config.render(config.merge({**usual, **(changes or {})}))
        self.box.write('/etc/spliced/spliced.conf', text)

    def drop_in(self, name, text):
        self.box.write(f'/etc/systemd/system/{self.unit}.d/{name}', text)
        self.box.systemctl('daemon-reload')

    # --- what it is ---------------------------------------------------------

    def show(self):
        return self.box.show(self.unit)

    def main(self):
        """The first process, by its number outside."""
        inside = int(self.show()['MainPID'])
        return self.box.processes(self.unit)[inside]

    def generations(self):
        """Its other processes, the oldest first."""
        inside = int(self.show()['MainPID'])
        return [n for pid, n in sorted(self.box.processes(self.unit).items())
                if pid != inside]

    def generation(self):
        """The only one."""
        return eventually(lambda: len(g := self.generations()) == 1 and g,
                          said=lambda: f'{self.generations()} live')[0]

    def wait_state(self, state, seconds=10):
        """Waits for an ActiveState and returns all properties."""
        return eventually(
            lambda: (p := self.show())['ActiveState'] == state and p, seconds,
            lambda: f'it is {self.show()["ActiveState"]}, not {state}')

    def wait_status(self, text, there=True):
        """Waits until systemd, which hears of it later, shows this or not."""
        eventually(lambda: (text in self.show()['StatusText']) == there,
                   said=lambda: self.show()['StatusText'])

    def wait_new(self, main, seconds=10):
        """Waits until another first process is ready, and returns it."""
        def look():
            try:
                return (self.show()['ActiveState'] == 'active' and
                        (pid := self.main()) != main and pid)
            except KeyError:
                return False
        return eventually(look, seconds, 'a new first process')

    def messages(self):
        """What it, and what systemd of it, wrote into the journal."""
        return [e['MESSAGE'] for e in self.box.journal(self.unit)
                if isinstance(e.get('MESSAGE'), str)]

    def wait_message(self, pattern, seconds=10):
        wanted = re.compile(pattern)
        return eventually(
            lambda: next(filter(None, map(wanted.search, self.messages())),
                         None),
            seconds, lambda: f'{pattern!r} is not in the journal')

    # --- what is done to it -------------------------------------------------

    def reload(self, check=True):
        return self.box.systemctl('reload', self.unit, check=check)

    def restart(self, check=True):
        return self.box.systemctl('restart', self.unit, check=check)

    def stop(self, check=True):
        return self.box.systemctl('stop', self.unit, check=check, seconds=60)

    def ctl(self, *args, check=True):
        return self.box.run('splicedctl', *args, check=check)


def socket_unit(s, name, *lines, service=False):
    """A socket unit that differs from the one that is installed."""
    text = re.sub(r'^(ListenStream|FileDescriptorName)=.*\n', '',
                  unit_text(SOCKET), flags=re.M)
    more = ['Service=spliced.service'] if service else []
    text = text.replace('[Socket]\n',
                        '\n'.join(['[Socket]', *lines, *more]) + '\n')
    s.box.write('/etc/systemd/system/' + name, text)
    s.box.systemctl('daemon-reload')


def listening(port):
    """The inodes of the sockets that listen on a port."""
    found = []
    for name in ('tcp', 'tcp6'):
        with open(f'/proc/thread-self/net/{name}', encoding='ascii') as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if fields[3] == '0A' and \
                        int(fields[1].split(':')[1], 16) == port:
                    found.append(int(fields[9]))
    return sorted(found)
