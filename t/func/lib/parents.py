"""Proxies of others to be parents: danted, Squid, tinyproxy, microsocks."""
import os
import shutil
import signal

from .case import Skip, eventually, patient, tool
from .clients import listens
from .origin import unused_port


class Parent:
    """A program that listens on a port of its own; `url` says how."""

    scheme = 'socks5'
    settled = False  # several processes, which a signal to one ends all

    def __init__(self, t, user=None, password=None, host='127.0.0.1'):
        self.t, self.user, self.password, self.host = t, user, password, host
        self.port = unused_port(host)
        self.folder = t.folder(f'{type(self).__name__}-{self.port}')
        self.start()

    def start(self):
        self.process = self.t.start(*self.command(), start_new_session=True)
        self.t.defer(self.stop)
        listens(self.port, self.host)

    def stop(self):
        """Ends it with all that it has started."""
        def gone():
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.poll()
                return False
            except ProcessLookupError:
                return True
        eventually(gone, 5, 'it ends')
        self.process.wait(patient(5))

    def login(self):
        return f'{self.user}:{self.password}@' if self.user else ''

    def at(self, scheme, login=None):
        login = self.login() if login is None else login
        return f'{scheme}://{login}{self.host}:{self.port}'

    @property
    def url(self):
        return self.at(self.scheme)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return path


class Microsocks(Parent):
    def command(self):
        words = [tool('microsocks', 'microsocks'), '-i', self.host, '-p',
                 str(self.port)]
        if self.user:
            words += ['-u', self.user, '-P', self.password]
        return words


class Danted(Parent):
    """Speaks SOCKS4 too, and UDP."""

    def command(self):
        if os.geteuid() != 0:
            raise Skip('danted needs to be started as root')
        conf = self.file('danted.conf', f"""\
internal: {self.host} port = {self.port}
external: 127.0.0.1
logoutput: {self.folder}/log
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks block {{ from: 0.0.0.0/0 to: 127.0.0.9/32 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0
 command: connect udpassociate }}
socks pass {{ from: 0.0.0.0/0 to: 127.0.0.0/8 command: udpreply }}
""")
        return [tool('danted', 'dante-server'), '-f', conf, '-p',
                os.path.join(self.folder, 'pid')]


class Tinyproxy(Parent):
    scheme = 'http'

    def command(self):
        conf = self.file('tinyproxy.conf', f"""\
Port {self.port}
Listen {self.host}
Timeout 600
MaxClients 200
Allow 127.0.0.0/8
LogFile "{self.folder}/log"
PidFile "{self.folder}/pid"
{f'BasicAuth {self.user} {self.password}' if self.user else ''}
""")
        return [tool('tinyproxy', 'tinyproxy-bin'), '-d', '-c', conf]


class Squid(Parent):
    """`tls`: a certificate to be an https parent with."""

    scheme = 'http'

    def __init__(self, t, tls=None, **options):
        self.tls = tls
        super().__init__(t, **options)

    def command(self):
        if os.geteuid() == 0:
            shutil.chown(self.folder, 'proxy')
            os.makedirs('/run/squid', exist_ok=True)
            shutil.chown('/run/squid', 'proxy')
        conf = self.file('squid.conf', f"""\
http_port {self.host}:{self.port}
http_access allow all
cache deny all
max_filedescriptors 1024
access_log none
cache_log {self.folder}/cache.log
pid_filename {self.folder}/squid.pid
coredump_dir {self.folder}
pinger_enable off
shutdown_lifetime 0 seconds
dns_nameservers 127.0.0.1
""")
        return [tool('squid', 'squid'), '--foreground', '-n',
                f'test{self.port}', '-f', conf]
