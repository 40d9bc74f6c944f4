"""The container image: its root serves, drains, and holds nothing to spare."""
import json
import os
import re
import shutil
import signal
import subprocess

from lib import net
from lib.admin import get
from lib.box import TOP
from lib.case import (SANITIZED, VALGRIND, Skip, eventually, netns, patient,
                      same, slow, timeout, tool)
from lib.client import dial, echoes, tunnel
from lib.notify import Notify
from lib.origin import Origin, echo, web

PUBLIC = '198.51.100.7'
ADDRESS = ('127.0.0.1', 1080)
ADMIN = 9180

START = '''
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev"
    for name in null urandom; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    exec chroot --userspec="$U:$G" --groups= "$root" "$@"
'''


def stages():
    """Of each stage its (instruction, words)."""
    path = os.path.join(TOP, 'systemd/container/Containerfile')
    with open(path, encoding='utf-8') as f:
        lines = re.sub(r'\\\n', ' ', f.read()).splitlines()
    said = [tuple(line.split(' ', 1)) for line in lines
            if line and line[0] != '#']
    last = said.index(('FROM', 'scratch'))
    return said[:last], said[last:]


def containerfile():
    """What the last stage says, by instruction."""
    return dict(stages()[1])


class Container:
    """What an engine does with the image: a root, a user, no rights."""

    def __init__(self, t, more=''):
        if SANITIZED or VALGRIND:
            raise Skip('a run-time that checks is no part of the image')
        if os.geteuid():
            raise Skip('only root can enter another root')
        self.t = t
        self.root = t.path('image')
        done = t.run('sh', os.path.join(TOP, 't/helper/image.sh'), t.build,
                     self.root, cwd=TOP)
        same(done.returncode, 0)
        with open(os.path.join(self.root, 'etc/spliced/spliced.conf'), 'a',
                  encoding='utf-8') as f:
            f.write(more)
        said = containerfile()
        self.user, self.group = said['USER'].split(':')
        self.entry = json.loads(said['ENTRYPOINT'])
        # Process numbers, /proc and /dev of its own, as engines do it.
        self.notify = Notify(t, os.path.join(self.root, 'run/notify'))
        self.process = t.start(
            tool('unshare', 'util-linux'), '--mount', '--pid', '--fork',
            '--kill-child', 'sh', '-euc', START,
            'sh', self.root, *self.entry,
            env={**os.environ, 'NOTIFY_SOCKET': '/run/notify',
                 'U': self.user, 'G': self.group})

    def ready(self):
        while 'READY' not in self.notify.next(20):
            pass
        return self

    def readyz(self):
        """What a probe of the pod's address is told; None: nothing."""
        try:
            return get(ADMIN, '/readyz')[0]
        except OSError:
            return None

    def first(self):
        """Process 1 of the container, by its number outside."""
        path = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        with open(path, encoding='ascii') as f:
            return int(f.read().split()[0])

    def probe(self, *command):
        """As an exec probe: a program of the image, beside the others."""
        return self.t.run('nsenter', '-t', str(self.first()), '-m', '-p',
                          '-r' + self.root, '-S', self.user, '-G', self.group,
                          *command)


@netns
def test_the_image_serves_and_drains(t):
    net.add_address(PUBLIC + '/32')
    c = Container(t, f'admin: {{ http = "127.0.0.1:{ADMIN}"; }};\n').ready()
    same(c.readyz(), 200)
    page = Origin(t, web(b'through it'), host=PUBLIC)
    curl = t.run(tool('curl', 'curl'), '-sS', '-x', 'socks5h://127.0.0.1:1080',
                 f'http://{PUBLIC}:{page.port}/')
    same((curl.stdout, curl.stderr), (b'through it', b''))
    for name in ('Uid', 'Gid'):
        with open(f'/proc/{c.first()}/status', encoding='ascii') as f:
            same(re.search(name + r':\s+(\d+)', f.read())[1], c.user)
    done = c.probe('/usr/sbin/splicedctl', 'status')
    same((done.returncode, done.stderr), (0, b''))

    # The runtime says SIGTERM to process 1: nobody new, the tunnel goes on.
    o = Origin(t, echo, host=PUBLIC)
    with tunnel(ADDRESS, o.target) as s:
        assert echoes(s)
        os.kill(c.first(), signal.SIGTERM)

        def is_closed():
            try:
                dial(ADDRESS, 1).close()
            except OSError:
                return True
            return False
        eventually(is_closed)
        assert echoes(s)
        eventually(lambda: c.readyz() == 503)
        same(c.process.poll(), None)
    same(c.process.wait(patient(10)), 0)


@netns
def test_nothing_of_the_image_is_to_spare(t):
    c = Container(t).ready()
    files = {os.path.relpath(os.path.join(d, f), c.root)
             for d, _, names in os.walk(c.root) for f in names
             if not re.match('(proc|dev)', os.path.relpath(d, c.root))}
    other = {f for f in files if '.so' not in f}
    same(other - {'etc/ssl/certs/ca-certificates.crt', 'run/notify',
                  'run/spliced/control', 'usr/lib/ssl/cert.pem'},
         {'etc/group', 'etc/nsswitch.conf', 'etc/passwd',
          'etc/spliced/spliced.conf', 'usr/sbin/spliced',
          'usr/sbin/splicedctl'})
    # Every library that is loaded is one of the image's, and the other way.
    with open(f'/proc/{c.first()}/maps', encoding='ascii') as f:
        loaded = set(re.findall(r'(\S+\.so\S*)$', f.read(), re.M))
    assert loaded, 'nothing is loaded'
    for path in loaded:
        assert path.startswith(c.root), path
    os.kill(c.first(), signal.SIGTERM)
    same(c.process.wait(patient(10)), 0)
    size = t.run('du', '-sk', c.root).stdout.split()[0]
    assert int(size) < 30 << 10, size


def test_the_build_stage_has_what_a_build_needs(_):
    with open(os.path.join(TOP, 't/helper/packages'), encoding='utf-8') as f:
        needed = set(re.findall(r'^run (\S+)', f.read(), re.M))
    installs, = [words for name, words in stages()[0]
                 if name == 'RUN' and 'apt-get install' in words]
    # The last two are for the image: authorities, and where they belong.
    same(set(re.findall(r'[a-z]\S*', installs.split('recommends')[1])),
         needed | {'ca-certificates', 'openssl'})


def sources(t, root):
    """COPY . /src, without what is built and who made it."""
    os.mkdir(os.path.join(root, 'src'))
    done = t.run('sh', '-c', 'git ls-files -z --cached --others '
                 '--exclude-standard | tar --null -T - -c | '
                 'tar -x -C "$0"', os.path.join(root, 'src'), cwd=TOP)
    same((done.returncode, done.stderr), (0, b''))


@slow
@timeout(1500)
def test_the_containerfile_builds_the_image(t):
    """As an engine would, in a root of the distribution that it names."""
    if os.geteuid():
        raise Skip('only root can enter another root')
    build, last = stages()
    same(build[0], ('FROM', 'docker.io/library/debian:12 AS build'))
    root = t.path('debian')
    t.defer(shutil.rmtree, root, True)
    log = t.path('build.log')

    def run(*command):
        with open(log, 'ab') as f:
            done = subprocess.run(command, stdout=f, stderr=f, check=False,
                                  stdin=subprocess.DEVNULL,
                                  env={'PATH': '/usr/sbin:/usr/bin',
                                       'DEBIAN_FRONTEND': 'noninteractive'})
        with open(log, encoding='utf-8', errors='replace') as f:
            same((command, done.returncode, f.read()[-2000:]
                  if done.returncode else ''), (command, 0, ''))
    run(tool('debootstrap', 'debootstrap'), '--variant=minbase', 'bookworm',
        root)
    for name, words in build[1:]:
        if name == 'RUN':
            run('unshare', '--mount', '--pid', '--fork', 'sh', '-euc',
                'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; '
                'exec chroot "$0" sh -c "$1"', root, words)
        else:
            same((name, words), ('COPY', '. /src'))
            sources(t, root)
    made = re.match(r'--from=build (\S+)/ /$', dict(last)['COPY'])[1]
    image = root + made
    user = dict(last)['USER']
    done = t.run('chroot', f'--userspec={user}', image,
                 *json.loads(dict(last)['ENTRYPOINT']), '--check')
    same((done.returncode, done.stderr), (0, b''))
