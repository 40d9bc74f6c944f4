"""Programs that carry their own protocol through: ssh, git, apt-get."""
import email.utils
import hashlib
import os
import pwd
import shlex

from lib import client
from lib.case import SLOWNESS, Skip, each, same, timeout, tool
from lib.clients import (CLEAN, Files, NAME, Sshd, named, proxy, spoken)
from lib.origin import BLOCK

MIB = 16 if SLOWNESS == 1 else 4


def me():
    """Who logs in: the user that the test runs as."""
    user = pwd.getpwuid(os.geteuid())
    if user.pw_shell.endswith(('nologin', 'false')):
        raise Skip(f'{user.pw_name} cannot log in')
    return user.pw_name


def via(d, how):
    """A ProxyCommand of ssh."""
    address = client.authority(*d.address)
    program, _, version = how.partition(' ')
    if program == 'nc':
        nc = tool('nc', 'netcat-openbsd')
        return f'{nc} -X {version} -x {address} %h %p'
    if program == 'ncat':
        ncat = tool('ncat', 'ncat')
        return f'{ncat} --proxy {address} --proxy-type {version} %h %p'
    if program == 'socat':
        host, port = d.address
        return f'{tool("socat", "socat")} - ' \
               f'SOCKS4A:{host}:%h:%p,socksport={port}'
    return f'{tool("connect-proxy", "connect-proxy")} -{version} ' \
           f'-S {address} %h %p'


# --- ssh --------------------------------------------------------------------

@each('nc 4', 'nc 5', 'nc connect', 'ncat socks4', 'ncat socks5',
      'socat SOCKS4A', 'connect-proxy 4', 'connect-proxy 5')
@timeout(60)
def test_ssh(t, how):
    user = me()
    server = Sshd(t)
    d = named(t)
    base = [*server.command(via(d, how)), f'{user}@127.0.0.1']
    done = t.run(*base, 'echo hello; cat >&2', input=b'and back', stdin=None)
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, b'hello\n', b'and back'), done.stderr
    d.wait_access(target=f'127.0.0.1:{server.port}')


@each('nc 4', 'nc 5', 'nc connect')
@timeout(60)
def test_ssh_carries_much(t, how):
    user = me()
    server = Sshd(t)
    d = named(t)
    body = BLOCK * MIB
    path = t.file('big', body)
    done = t.run(*server.command(via(d, how)), f'{user}@127.0.0.1',
                 'cat ' + shlex.quote(path), seconds=40)
    assert done.returncode == 0, done.stderr
    same(hashlib.sha256(done.stdout).digest(), hashlib.sha256(body).digest())
    d.wait_access(outcome='closed')


# --- git --------------------------------------------------------------------

class Git:
    """git without anybody's settings, and a repository with one commit."""

    def __init__(self, t):
        self.t = t
        self.git = tool('git', 'git')
        self.env = {**CLEAN, 'GIT_CONFIG_NOSYSTEM': '1',
                    'GIT_CONFIG_GLOBAL': '/dev/null', 'HOME': t.dir,
                    'GIT_TERMINAL_PROMPT': '0'}
        for role in ('AUTHOR', 'COMMITTER'):
            self.env[f'GIT_{role}_NAME'] = 'a'
            self.env[f'GIT_{role}_EMAIL'] = 'a@target.example'
        self.web = t.folder('web')
        self.bare = os.path.join(self.web, 'r.git')
        self.run('init', '-q', '-b', 'main', t.path('work'))
        t.file('work/file', client.noise(300000, 'git'))
        self.work('add', 'file')
        self.work('commit', '-q', '-m', 'the first')
        self.run('clone', '-q', '--bare', t.path('work'), self.bare)
        self.run('-C', self.bare, 'update-server-info')

    def run(self, *words, **env):
        done = self.t.run(self.git, *words, env={**self.env, **env})
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def work(self, *words, **env):
        return self.run('-C', self.t.path('work'), *words, **env)

    def head(self, folder):
        return self.run('-C', folder, 'rev-parse', 'main')


@each('socks4a', 'socks5h')
def test_git_over_http(t, scheme):
    d = named(t)
    repository = Git(t)
    server = Files(t, repository.web)
    repository.run('-c', f'http.proxy={proxy(d, scheme)}', 'clone', '-q',
                   f'http://{NAME}:{server.port}/r.git', t.path('copy'))
    same(repository.head(t.path('copy')), repository.head(t.path('work')))
    line = d.wait_access(target=f'{NAME}:{server.port}')
    same(line['protocol'], spoken(scheme))


@each('nc 4', 'nc 5')
@timeout(60)
def test_git_over_ssh(t, how):
    user = me()
    server = Sshd(t)
    d = named(t)
    repository = Git(t)
    ssh = shlex.join(server.command(via(d, how)))
    url = f'ssh://{user}@127.0.0.1:{server.port}{repository.bare}'
    repository.run('clone', '-q', url, t.path('copy'), GIT_SSH_COMMAND=ssh)
    same(repository.head(t.path('copy')), repository.head(t.path('work')))
    repository.work('commit', '-q', '--allow-empty', '-m', 'the second')
    repository.work('push', '-q', url, 'main', GIT_SSH_COMMAND=ssh)
    same(repository.head(repository.bare), repository.head(t.path('work')))
    d.wait_access(2, outcome='closed')


# --- apt-get ----------------------------------------------------------------

CONTROL = '''Package: spliced-test
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@target.example>
Description: nothing at all
'''


def sums(path):
    with open(path, 'rb') as f:
        text = f.read()
    return hashlib.sha256(text).hexdigest(), len(text)


def repository(t):
    """A folder with one package, as apt-get wants it."""
    root = t.folder('deb')
    t.folder('deb/tree')
    t.folder('deb/tree/DEBIAN')
    t.file('deb/tree/DEBIAN/control', CONTROL)
    package = os.path.join(root, 'spliced-test.deb')
    done = t.run(tool('dpkg-deb', 'dpkg'), '-Znone', '--build',
                 os.path.join(root, 'tree'), package)
    assert done.returncode == 0, done.stderr
    digest, size = sums(package)
    index = t.file('deb/Packages', f'{CONTROL}Filename: ./spliced-test.deb\n'
                   f'Size: {size}\nSHA256: {digest}\n')
    digest, size = sums(index)
    t.file('deb/Release', f'Date: {email.utils.formatdate(usegmt=True)}\n'
           f'SHA256:\n {digest} {size} Packages\n')
    return root, package


def apt(t, d, source, *words):
    """apt-get with folders of its own and a proxy."""
    options = {
        'Dir::Etc::sourcelist': t.file('sources.list', source),
        'Dir::Etc::sourceparts': '-', 'Dir::Etc::trustedparts': '-',
        'Dir::State': t.path('apt/state'), 'Dir::Cache': t.path('apt/cache'),
        'Dir::State::status': t.path('apt/status'),
        'Dir::Log': t.path('apt/log'), 'Debug::NoLocking': 'true',
        'APT::Sandbox::User': pwd.getpwuid(os.geteuid()).pw_name,
        'Acquire::Languages': 'none', 'Acquire::Retries': '0',
        'Acquire::http::Proxy': proxy(d, 'socks5h'),
    }
    done = t.run(tool('apt-get', 'apt'), '-q',
                 *(x for k, v in options.items() for x in ('-o', f'{k}={v}')),
                 *words, env=CLEAN, cwd=t.path('apt'))
    assert done.returncode == 0, done.stdout + done.stderr
    assert b'W:' not in done.stderr, done.stderr


def test_apt_get(t):
    d = named(t)
    root, package = repository(t)
    server = Files(t, root)
    for name in ('apt', 'apt/state', 'apt/state/lists',
                 'apt/state/lists/partial', 'apt/cache',
                 'apt/cache/archives', 'apt/cache/archives/partial'):
        t.folder(name)
    t.file('apt/status', '')
    source = f'deb [trusted=yes] http://{NAME}:{server.port}/ ./\n'
    apt(t, d, source, 'update')
    apt(t, d, source, 'download', 'spliced-test')
    found = [n for n in os.listdir(t.path('apt')) if n.endswith('.deb')]
    same(len(found), 1)
    same(sums(os.path.join(t.path('apt'), found[0])), sums(package))
    line = d.wait_access(2, target=f'{NAME}:{server.port}')
    same(line['protocol'], 'socks5')
