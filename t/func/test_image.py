"""The container image: its root serves, drains, and holds nothing to spare."""
import json
import os
import re
import signal

from lib import net
from lib.box import TOP
from lib.case import (SANITIZED, VALGRIND, Skip, eventually, netns, patient,
                      same, tool)
from lib.client import dial, echoes, tunnel
from lib.notify import Notify
from lib.origin import Origin, echo, web

PUBLIC = '198.51.100.7'
ADDRESS = ('127.0.0.1', 1080)

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


def containerfile():
    """What the last stage says, by instruction."""
    path = os.path.join(TOP, 'systemd/container/Containerfile')
    with open(path, encoding='utf-8') as f:
        last = f.read().split('\nFROM scratch\n')[1]
    return dict(line.split(' ', 1) for line in last.splitlines() if line)


class Container:
    """What an engine does with the image: a root, a user, no rights."""

    def __init__(self, t):
        if SANITIZED or VALGRIND:
            raise Skip('a run-time that checks is no part of the image')
        if os.geteuid():
            raise Skip('only root can enter another root')
        self.t = t
        self.root = t.path('image')
        done = t.run('sh', os.path.join(TOP, 't/helper/image.sh'), t.build,
                     self.root, cwd=TOP)
        same(done.returncode, 0)
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
    c = Container(t).ready()
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
