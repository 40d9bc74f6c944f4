"""Active FTP, for which BIND was made, with programs that know only FTP."""
import ftplib
import importlib.util
import io
import os
import re
import shutil

from lib import client, conf, net
from lib.case import Skip, each, eventually, netns, patient, same, tool
from lib.client import noise, socks5_ask, socks5_reply, tunnel
from lib.daemon import Daemon

OURS, OUTSIDE = '203.0.113.1', '198.51.100.1'

# Says which port it has; from whoever asks it takes no other's address.
SERVER = '''
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
host, folder = sys.argv[1:]
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(folder, perm='elradfmw')
server = FTPServer((host, 0), FTPHandler)
print('port', server.socket.getsockname()[1], flush=True)
server.serve_forever()
'''

VSFTPD = '''
listen=YES
listen_address=%(host)s
listen_port=21
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root=%(folder)s
nopriv_user=nobody
secure_chroot_dir=%(empty)s
write_enable=YES
anon_upload_enable=YES
connect_from_port_20=YES
pasv_enable=NO
seccomp_sandbox=NO
'''


def pyftpdlib(t, folder, host):
    """A server and its port; no passive mode is asked of it."""
    if not importlib.util.find_spec('pyftpdlib'):
        raise Skip('pyftpdlib is missing: apt-get install python3-pyftpdlib')
    server = t.start('/usr/bin/python3', '-W', 'ignore', '-c', SERVER, host,
                     folder)

    def port():
        with open(server.log, encoding='utf-8') as f:
            return re.search(r'^port (\d+)$', f.read(), re.MULTILINE)
    return int(eventually(port, said='a port of pyftpdlib')[1])


def vsftpd(t, folder, host):
    """Another one, whose data comes from port 20 as it always did."""
    file = t.file('vsftpd.conf', VSFTPD % {
        'host': host, 'folder': folder, 'empty': t.folder('empty')})
    server = t.start(tool('vsftpd', 'vsftpd'), file)

    def answers():
        assert server.poll() is None, 'vsftpd has ended'
        try:
            client.dial((host, 21)).close()
        except ConnectionRefusedError:
            return False
        return True
    eventually(answers, said='vsftpd')
    return 21


SERVERS = {'pyftpdlib': pyftpdlib, 'vsftpd': vsftpd}


def shared(t):
    """A folder with a file, and one for what is sent."""
    folder = t.folder('ftp')
    os.chmod(t.dir, 0o755)
    os.mkdir(folder + '/in')
    os.chmod(folder + '/in', 0o777)
    content = noise(3 << 20, 'ftp')
    t.file('ftp/file', content)
    return folder, content


# --- a program that was never told of SOCKS ---------------------------------

SOCKSIFY = '''
logoutput: %(log)s
route {
  from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = %(port)d
  proxyprotocol: %(protocol)s
  command: connect bind
  method: none
}
'''


def visible(t):
    """Skips where vsftpd's user could not see the test's folder."""
    at = os.path.dirname(t.dir)
    while at != '/':
        if not os.stat(at).st_mode & 0o001:
            raise Skip(f'{at} is closed to others')
        at = os.path.dirname(at)


def outside(t):
    """A network behind a router: what lies next to us socksify does not
    take to the proxy.
    """
    far = net.Namespace(t)
    net.join('veth0', far)
    net.add_address(OURS + '/24', 'veth0')
    far.ip('address', 'add', '203.0.113.2/24', 'dev', 'wan0')
    far.ip('address', 'add', OUTSIDE + '/32', 'dev', 'lo')
    net.ip('route', 'add', 'default', 'via', '203.0.113.2')
    return far


def tnftp(t, d, port, protocol, script):
    """Runs tnftp in active mode behind socksify; what it says."""
    settings = t.file('socksify.conf', SOCKSIFY % {
        'port': d.address[1], 'protocol': protocol,
        'log': t.path('socksify.log')})
    done = t.run(tool('socksify', 'dante-client'), tool('tnftp', 'tnftp'),
                 '-A', '-v', '-n', '-i', OUTSIDE, str(port), stdin=None,
                 input=script.encode(), seconds=30,
                 env={**os.environ, 'SOCKS_CONF': settings})
    said = (done.stdout + done.stderr).decode('utf-8', 'replace')
    t.file('tnftp.log', said)
    return said


def run_tnftp(t, server, protocol):
    tool('socksify', 'dante-client')
    tool('tnftp', 'tnftp')
    visible(t)
    folder, content = shared(t)
    with outside(t).inside():
        port = SERVERS[server](t, folder, OUTSIDE)
    data = {'vsftpd': '20', 'pyftpdlib': '1024-65535'}[server]
    d = Daemon(t, {
        'listeners': [conf.listener(protocols=['socks4', 'socks5'])],
        'rules': [conf.allow(commands=['connect'], ports=[str(port)]),
                  conf.allow(commands=['bind'], ports=[data])]})
    up = t.file('up', content[:100000])
    said = tnftp(t, d, port, protocol, f'''user anonymous me
binary
get file {t.path('got')}
ls
put {up} in/up
quit
''')
    for path, wanted in (('got', content), ('ftp/in/up', content[:100000])):
        with open(t.path(path), 'rb') as f:
            assert f.read() == wanted, said
    same(said.count('226 '), 3)
    d.wait_access(1, command='connect', outcome='closed')
    lines = d.access(command='bind', outcome='closed')
    same({x['bound'].split(':')[0] for x in lines}, {OURS})
    same([(x['up'], x['down']) for x in lines if x['up'] != '0'],
         [('100000', '0')])
    same(max(int(x['down']) for x in lines), len(content))
    return d


@each('socks_v5', 'socks_v4')
@netns
def test_tnftp_gets_lists_and_puts(t, protocol):
    d = run_tnftp(t, 'pyftpdlib', protocol)
    same({x['protocol'] for x in d.access()}, {'socks' + protocol[-1]})


@netns
def test_data_comes_from_port_20_of_vsftpd(t):
    d = run_tnftp(t, 'vsftpd', 'socks_v5')
    same({x['address'] if 'address' in x else x['target']
          for x in d.access(command='bind', outcome='closed')},
         {OUTSIDE + ':20'})


# --- one that names the server that may come --------------------------------

class Waiting:
    """What ftplib takes for a socket that listens."""

    def __init__(self, s):
        self.s = s

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.s:
            self.s.close()

    def accept(self):
        reply = socks5_reply(self.s)
        same(reply.code, client.SUCCEEDED)
        s, self.s = self.s, None
        return s, (reply.host, reply.port)


class SocksFtp(ftplib.FTP):
    """ftplib's client in active mode through a proxy."""

    def __init__(self, d, host, port):
        super().__init__(timeout=patient(20))
        self.d = d
        self.host, self.port = host, port
        self.sock = tunnel(d.address, (host, port))
        self.af = self.sock.family if ':' not in host else \
            ftplib.socket.AF_INET6
        self.file = self.sock.makefile('r', encoding=self.encoding)
        self.welcome = self.getresp()
        self.set_pasv(False)

    def makeport(self):
        s, reply = socks5_ask(self.d.address, (self.host, self.port),
                              client.BIND)
        same(reply.code, client.SUCCEEDED)
        if ':' in reply.host:
            self.sendeprt(reply.host, reply.port)
        else:
            self.sendport(reply.host, reply.port)
        return Waiting(s)


@each('127.0.0.1', '::1')
def test_ftplib_gets_lists_and_puts(t, host):
    folder, content = shared(t)
    port = pyftpdlib(t, folder, host)
    d = Daemon(t)
    got = bytearray()
    with SocksFtp(d, host, port) as ftp:
        ftp.login()
        for _ in range(3):
            got.clear()
            ftp.retrbinary('RETR file', got.extend)
            assert got == content
        ftp.storbinary('STOR in/up', io.BytesIO(content))
        same(sorted(ftp.nlst()), ['file', 'in'])
    with open(folder + '/in/up', 'rb') as f:
        assert f.read() == content
    d.wait_access(5, command='bind', outcome='closed')
    shutil.rmtree(folder)
