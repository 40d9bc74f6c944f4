"""Debian packages of this tree, and of one that is a version newer.

They are built once for all tests that want them, without a network, into
BUILD/packages, and again when a source has changed.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess

from .box import TOP, Box
from .case import SANITIZED, VALGRIND, Skip, tool

SOURCES = ('conf', 'core', 'daemon', 'man', 'systemd', 't/examples',
           'Makefile', 'configure.ac', 'CHANGELOG.md')
NEWER = '9.9.9'


def changed():
    """When the youngest source was written."""
    youngest = 0
    for name in SOURCES:
        path = os.path.join(TOP, name)
        inside = [os.path.join(folder, f)
                  for folder, _, files in os.walk(path) for f in files]
        youngest = max([youngest, *map(os.path.getmtime, inside or [path])])
    return youngest


def version():
    with open(os.path.join(TOP, 'configure.ac'), encoding='utf-8') as f:
        return re.search(r'AC_INIT\(\[spliced\], \[(.*?)\]\)', f.read())[1]


def shell(t, text, *args):
    """Runs a script in the tree, with no network to reach."""
    env = {k: v for k, v in os.environ.items() if 'MAKE' not in k}
    env['DEB_BUILD_OPTIONS'] = 'noautodbgsym'
    done = t.run(tool('unshare', 'util-linux'), '-n', 'sh', '-euc', text, 'sh',
                 *args, cwd=TOP, env=env, seconds=900)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


MAKE = '''
	make --no-print-directory DEPS=no configure build/config.mk >/dev/null
	sh t/helper/dist.sh "$1" "spliced-$2" tree
	sh t/helper/deb.sh "$1/spliced-$2.tar.gz" "$1/old"
'''

# In the same folder, whose name is among the compiler's flags: what has been
# compiled serves again, but for what knows the version.
MAKE_NEWER = '''
	cd "$1/old/spliced-$2"
	sed -i "s/$2/$3/g" configure configure.ac
	sed -i "1s/$2/$3/" debian/changelog
	dh_clean
	dpkg-buildpackage -b -nc -us -uc >../newer.log 2>&1 ||
		{ tail -n 30 ../newer.log; exit 1; }
	mkdir "$1/new"
	mv ../*"$3"* "$1/new"
'''


def built(t):
    """The folders of this version's packages and of the newer one's."""
    if SANITIZED or VALGRIND:
        raise Skip('packages are not built for a run-time that checks')
    for name, package in (('dh', 'debhelper'), ('dh_apparmor', 'dh-apparmor'),
                          ('dpkg-buildpackage', 'dpkg-dev')):
        tool(name, package)
    folder = os.path.join(t.build, 'packages')
    os.makedirs(folder, exist_ok=True)
    done = os.path.join(folder, 'done')
    with open(os.path.join(folder, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(done) or os.path.getmtime(done) < changed():
            for name in ('old', 'new'):
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            shell(t, MAKE, folder, version())
            shell(t, MAKE_NEWER, folder, version(), NEWER)
            with open(done, 'w', encoding='ascii'):
                pass
    return [os.path.join(folder, name) for name in ('old', 'new')]


class Debian(Box):
    """A booted machine with apt, which may start services."""

    def __init__(self, t):
        self.old, self.new = built(t)
        super().__init__(t)
        self.run('rm', '-f', '/usr/sbin/policy-rc.d')

    def apt(self, *args, check=True):
        return self.run('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get',
                        '-q', '-y', '--no-install-recommends', '-o',
                        'Dpkg::Use-Pty=0', *args, check=check, seconds=120)

    def install(self, folder, *names):
        """Installs packages of a folder, as apt install ./X.deb does."""
        inside = []
        for name in names:
            path, = glob.glob(os.path.join(folder, f'{name}_*.deb'))
            os.makedirs(self.path('/root/debs'), exist_ok=True)
            shutil.copy(path, self.path('/root/debs'))
            inside.append('/root/debs/' + os.path.basename(path))
        return self.apt('install', *inside).out

    def status(self, package):
        return self.run('dpkg-query', '-W', '-f',
                        '${db:Status-Status} ${Version}', package,
                        check=False).out

    def traces(self):
        """All files that have the name of what is to be installed."""
        found = subprocess.run(
            ['find', *(self.path(p) for p in
                       ('/etc', '/usr', '/var', '/run', '/lib')),
             '(', '-name', '*spliced*', '-o', '-name', '*tcpserver*', ')',
             '-not', '-path', '*/systemd/units/*',
             '-not', '-path', '/proc/*/var/cache/man/*',
             '-not', '-path', '*/systemd/inaccessible/*'],
            capture_output=True, check=False).stdout.decode()
        return {p.split('/root', 1)[1] for p in found.split()}
