"""Debian packages: built from the tarball, installed by apt, upgraded while
a download runs, removed, purged."""
import glob
import os
import re

from lib import net
from lib.box import ADDRESS, TOP, Service, listening
from lib.case import eventually, patient, same, slow, timeout, tool
from lib.client import tunnel
from lib.origin import Origin, echo, web
from lib.packages import NEWER, Debian, built, version
from test_systemd import Callers, Download, serves

DEBIAN = os.path.join(TOP, 'systemd', 'debian')
# The sample configuration lets nobody get to loopback and private networks.
PUBLIC = '198.51.100.7'


class Installed(Service):
    """spliced.service as apt has installed it."""

    def __init__(self, box):
        self.t = box.t
        self.box = box


def public(t):
    net.add_address(PUBLIC + '/32')
    return Origin(t, echo, host=PUBLIC)


def source(name):
    with open(os.path.join(DEBIAN, name), encoding='utf-8') as f:
        return f.read()


# --- Without building anything ----------------------------------------------

def test_the_scripts_are_scripts(t):
    names = [n for kind in ('preinst', 'postinst', 'prerm', 'postrm')
             for n in glob.glob(os.path.join(DEBIAN, '*.' + kind))]
    assert len(names) >= 4, names
    for name in names:
        done = t.run('sh', '-n', name)
        same((done.returncode, done.stderr), (0, b''))
        with open(name, encoding='utf-8') as f:
            assert '\n#DEBHELPER#\n' in f.read(), name


def test_the_profile_is_one(t):
    done = t.run(tool('apparmor_parser', 'apparmor'), '-Q',
                 '--skip-kernel-load', '--skip-cache',
                 os.path.join(DEBIAN, 'usr.sbin.spliced'))
    same(done.returncode, 0)
    assert b'complain' not in done.stderr, done.stderr


def test_logrotate_takes_its_file(t):
    text = source('spliced.logrotate').replace('su spliced spliced', '')
    done = t.run(tool('logrotate', 'logrotate'), '-d', '-s', t.path('state'),
                 t.file('spliced', text))
    same(done.returncode, 0)
    assert b'error' not in done.stderr, done.stderr.decode()


def test_the_sockets_name_of_the_library_is_the_packages(t):
    with open(os.path.join(TOP, 'core/library.mk'), encoding='utf-8') as f:
        soname = re.search(r'^so_name := (.*)$', f.read(), re.M)[1]
    package = re.sub(r'\.so\.', '', soname)
    assert f'\nPackage: {package}\n' in source('control'), package
    assert source(package + '.symbols').startswith(f'{soname} {package} ')


def test_what_configure_wants_is_asked_for(t):
    with open(os.path.join(TOP, 'configure.ac'), encoding='utf-8') as f:
        wanted = re.findall(r'^SPLICED_LIB\(.*\[(lib\S+-dev)\]\)$', f.read(),
                            re.M)
    assert len(wanted) > 8, wanted
    with open(os.path.join(TOP, 'systemd/container/Containerfile'),
              encoding='utf-8') as f:
        image = f.read().split()
    for name in wanted:
        assert f'\n {name} (>=' in source('control'), name
        assert name in image, name


# --- Built ------------------------------------------------------------------

@slow
@timeout(900)
def test_lintian_finds_nothing(t):
    for name in ('old', 'new'):
        path, = glob.glob(os.path.join(built(t)[name == 'new'], '*.changes'))
        done = t.run(tool('lintian', 'lintian'), '--allow-root',
                     '--fail-on', 'error,warning', path, seconds=300)
        same((done.stdout.decode(), done.returncode), ('', 0))


@slow
@timeout(900)
def test_the_packages_hold_what_they_should(t):
    folder = built(t)[0]
    held = {}
    for path in glob.glob(os.path.join(folder, '*.deb')):
        text = t.run('dpkg-deb', '-c', path).stdout.decode()
        held[os.path.basename(path).split('_')[0]] = {
            line.split()[5][1:] for line in text.splitlines()}
    same(sorted(held), ['libtcpserver-dev', 'libtcpserver0', 'spliced',
                        'spliced-pam'])
    for path in ('/usr/sbin/spliced', '/usr/sbin/splicedctl',
                 '/etc/spliced/spliced.conf', '/etc/logrotate.d/spliced',
                 '/etc/apparmor.d/usr.sbin.spliced',
                 '/usr/lib/sysusers.d/spliced.conf',
                 '/usr/lib/tmpfiles.d/spliced.conf',
                 '/lib/systemd/system/spliced.service',
                 '/usr/share/man/man5/spliced.conf.5.gz',
                 '/usr/share/doc/spliced/README.Debian',
                 '/usr/share/doc/spliced/copyright'):
        assert any(p in (path, path + '.gz') for p in held['spliced']), path
    assert '/etc/pam.d/spliced' in held['spliced-pam']
    assert '/usr/include/tcpserver.h' in held['libtcpserver-dev']


@slow
@timeout(900)
def test_a_download_outlives_an_upgrade(t):
    box = Debian(t)
    s = Installed(box)
    before = box.traces()
    o = public(t)
    page = Origin(t, web(b'through it'), host=PUBLIC)
    box.install(box.old, 'spliced')

    # It runs and is enabled, as its own user, with the sample configuration.
    p = s.wait_state('active')
    same((p['UnitFileState'], p['NRestarts']), ('enabled', '0'))
    same(s.ctl('version').out.split()[-1], version())
    url = f'http://{PUBLIC}:{page.port}/'
    for proxy in ('socks5h', 'http'):
        same(box.run('curl', '-sS', '-x', f'{proxy}://127.0.0.1:1080',
                     url).out, 'through it')
    verify = box.run('systemd-analyze', 'verify', 'spliced.service',
                     'spliced.socket', check=False)
    same([x for x in verify.out.splitlines() if 'spliced' in x], [])
    box.run('sh', '-c', 'echo "# mine" >>/etc/spliced/spliced.conf')

    main, old, sockets = s.main(), s.generation(), listening(1080)
    d = Download(t, host=PUBLIC)
    with Callers(o.target) as callers:
        said = box.install(box.new, 'spliced')
        assert 'spliced:' not in said, said
    same(callers.failed, [])
    same((s.main(), listening(1080)), (main, sockets))
    # Both, the first process and what serves, are the new program.
    same(s.ctl('version').out.split()[-1], NEWER)
    serving = [g for g in s.generations() if g != old]
    for pid in [main, *serving]:
        link = os.readlink(f'/proc/{pid}/exe')
        assert not link.endswith(' (deleted)'), link
    assert old in s.generations(), 'the download has lost its generation'
    d.finish()
    eventually(lambda: s.generations() == serving)
    p = s.show()
    same((p['ActiveState'], p['NRestarts']), ('active', '0'))
    assert box.read('/etc/spliced/spliced.conf').endswith('# mine\n')

    # Removed, it is stopped, and its configuration stays.
    box.apt('remove', 'spliced')
    same(listening(1080), [])
    assert box.status('spliced').startswith('config-files')
    assert '/etc/spliced/spliced.conf' in box.traces()
    box.write('/var/log/spliced/spliced.log', 'a log')
    box.write('/etc/spliced/users', 'alice:*')
    box.apt('purge', 'spliced')
    same(box.traces() - before, set())
    for name in ('passwd', 'group'):
        assert 'spliced:' not in box.read('/etc/' + name), name


@slow
@timeout(900)
def test_a_port_that_danted_has_is_no_failure_of_apt(t):
    tool('danted', 'dante-server')
    box = Debian(t)
    s = Installed(box)
    box.write('/etc/danted.conf',
              'internal: 0.0.0.0 port = 1080\nexternal: lo\n'
              'clientmethod: none\nsocksmethod: none\n'
              'client pass { from: 0/0 to: 0/0 }\n'
              'socks pass { from: 0/0 to: 0/0 }\n')
    box.systemctl('start', 'danted')
    eventually(lambda: listening(1080))
    said = box.install(box.old, 'spliced')
    assert box.status('spliced').startswith('installed')
    assert re.search(r'spliced: installed, but it does not run: .*1080.*'
                     'Address already in use', said), said
    assert re.search(r'spliced: port 1080 is taken by danted \(process \d+\)',
                     said), said
    assert 'systemctl start spliced' in said, said
    same(s.show()['ActiveState'], 'failed')
    # It is no reason for the next version to fail, either.
    assert 'taken by danted' in box.install(box.new, 'spliced')
    assert box.status('spliced').startswith('installed ' + NEWER)
    box.systemctl('stop', 'danted')
    box.systemctl('start', 'spliced')
    assert serves(public(t))


@slow
@timeout(900)
def test_a_configuration_that_the_new_version_refuses_is_told(t):
    box = Debian(t)
    s = Installed(box)
    o = public(t)
    box.install(box.old, 'spliced')
    main, old = s.main(), s.generation()
    box.write('/etc/spliced/spliced.conf', 'rulez = ();\n')
    with tunnel(ADDRESS, o.target):
        said = box.install(box.new, 'spliced')
        assert 'rulez' in said, said
        assert 'this version does not take /etc/spliced/spliced.conf' in said
        same((s.main(), s.generations()), (main, [old]))
        assert serves(o)


@slow
@timeout(900)
def test_the_helper_comes_with_its_socket(t):
    box = Debian(t)
    box.install(box.old, 'spliced', 'spliced-pam')
    p = eventually(lambda: (p := box.show('spliced-pam.socket'))
                   ['ActiveState'] == 'active' and p)
    same(p['UnitFileState'], 'enabled')
    assert os.path.exists(box.path('/run/spliced/pam'))
    box.install(box.new, 'spliced', 'spliced-pam')
    same(box.show('spliced-pam.socket')['ActiveState'], 'active')
    box.apt('purge', 'spliced-pam')
    assert not os.path.exists(box.path('/run/spliced/pam'))
    same(Installed(box).show()['ActiveState'], 'active')


@slow
@timeout(900)
def test_a_program_is_built_with_the_library_of_the_packages(t):
    box = Debian(t)
    box.install(box.old, 'libtcpserver0', 'libtcpserver-dev')
    folder = '/usr/share/doc/libtcpserver-dev/examples'
    box.run('sh', '-euc', f'''
        cd /tmp
        cc -o echo {folder}/echo.c $(pkg-config --cflags --libs tcpserver)
        ldd ./echo | grep -q libtcpserver.so.0''', seconds=patient(60))
    box.run('man', '-w', 'tcp_dial')
