"""What is measured: how each proxy is configured, started and ended.

Each serves with two workers (one for fairness), with the access log that it
has going to a file, and nothing else tuned than what it needs to hold 9,000
tunnels with 20,000 descriptors. Peers that a machine lacks are left out.
"""
import ctypes
import os
import re
import resource
import shutil
import socket
import subprocess
import time


RULES = 1000  # of the work "policy"
USERS = 1000
# What all do that nothing else is said of.
PLAIN = ("connect", "pingpong", "down", "up", "paced", "idle", "fairness")
WEB = ("http", "http-connect")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Subject:
    """One running proxy; address[origin] is where its users connect."""

    name = ""
    protocol = "socks5"
    what = ""
    binary = ""
    works = PLAIN
    udp = False
    users = USERS

    def __init__(self, build, folder, workers, origins):
        self.build = build
        self.folder = folder
        self.workers = workers
        self.origins = origins
        self.process = None
        self.port = free_port()
        self.address = {o: f"127.0.0.1:{self.port}" for o in origins}
        os.makedirs(folder, exist_ok=True)

    @classmethod
    def does(cls, work):
        if work.startswith("udp"):
            return cls.udp
        return work in cls.works

    def way(self, work):
        """How it is asked for the way to an origin."""
        return {"http": "none", "http-connect": "connect"}.get(
            work, self.protocol)

    @classmethod
    def path(cls, _build):
        return shutil.which(cls.binary,
                            path=os.environ.get("PATH", "") + ":/usr/sbin")

    @classmethod
    def version(cls, _build):
        out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}",
                              cls.package()], capture_output=True, text=True,
                             check=False)
        return out.stdout

    @classmethod
    def package(cls):
        return cls.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        return path

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(os.path.join(self.folder, "output"), "wb") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True, cwd=self.folder)
        deadline = time.monotonic() + 20
        while not self.serves():
            if (self.process.poll() is not None
                    or time.monotonic() > deadline):
                self.stop()
                raise RuntimeError(self.name + " does not start: "
                                   + self.output())
            time.sleep(0.05)
        time.sleep(0.2)

    def serves(self):
        for addr in set(self.address.values()):
            host, port = addr.rsplit(":", 1)
            try:
                socket.create_connection((host, int(port)), 1).close()
            except OSError:
                return False
        return True

    def output(self):
        path = os.path.join(self.folder, "output")
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()[-2000:]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.process is None:
            return
        for send in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                send()
            try:
                self.process.wait(5)
                break
            except subprocess.TimeoutExpired:
                pass
        # Children that outlive their parent: they are in its own session.
        for pid in in_session(self.process.pid):
            try:
                os.kill(pid, 9)
            except OSError:
                pass


def in_session(session):
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == session:
                    pids.append(int(name))
            except OSError:
                pass
    return pids


class Floor(Subject):
    name = "floor"
    what = "the practical limit"

    @classmethod
    def path(cls, build):
        path = os.path.join(build, "bench", "floor")
        return path if os.path.exists(path) else None

    @classmethod
    def version(cls, _build):
        return ""

    def command(self):
        return [self.path(self.build), "--listen", f"127.0.0.1:{self.port}",
                "--workers", str(self.workers)]


class Floor2(Floor):
    name = "floor2"
    what = "the same once more"


class UdpFloor(Floor):
    """What the floor is for datagrams."""

    works = ("udp",)
    udp = True

    @classmethod
    def path(cls, build):
        path = os.path.join(build, "bench", "udpfloor")
        return path if os.path.exists(path) else None


class UdpFloor2(UdpFloor):
    name = "floor2"
    what = "the same once more"


class LoginFloor(Floor):
    """The floor that has a login, and checks nothing."""

    works = ("policy",)

    def command(self):
        return super().command() + ["-a"]


class LoginFloor2(LoginFloor):
    name = "floor2"
    what = "the same once more"


class Spliced(Subject):
    name = "spliced"
    what = "as it ships"
    works = PLAIN + WEB
    udp = True

    @classmethod
    def path(cls, build):
        path = os.path.join(build, "spliced")
        return path if os.path.exists(path) else None

    @classmethod
    def version(cls, build):
        out = subprocess.run([cls.path(build), "--version"], text=True,
                             capture_output=True, check=False)
        return out.stdout.strip()

    def command(self):
        top = os.path.join(os.path.dirname(__file__), "..", "..")
        sample = os.path.join(top, "conf", "spliced.conf")
        with open(sample, encoding="utf-8") as text:
            conf = adapt(text.read(), self.port, self.workers,
                         os.path.join(self.folder, "access.log"))
        # It may give up root before it opens the log.
        os.chmod(self.folder, 0o777)
        return [self.path(self.build), "--config",
                self.file("spliced.conf", conf)]


class Policy(Spliced):
    """The same with many rules and users, whose passwords are cached."""

    works = ("policy",)
    udp = False

    def command(self):
        users = self.file("users", users_text(USERS))
        rules = ",\n".join(rule_texts(RULES))
        log = os.path.join(self.folder, "access.log")
        os.chmod(self.folder, 0o777)
        return [self.path(self.build), "--config",
                self.file("spliced.conf", f"""\
workers = {self.workers};
log: {{ target = "file:{log}"; }};
admin: {{ socket = ""; }};
auth: {{ users_file = "{users}"; cache = "1d"; }};
listeners: ( {{ name = "bench"; address = "127.0.0.1:{self.port}";
	protocols = [ "socks5" ]; }} );
clients: ( {{ action = "allow"; auth = [ "password" ]; }} );
rules: (
{rules}
);
""")]

    def start(self):
        super().start()
        # Each user once: what is measured finds all of them cached.
        done = subprocess.run(
            [os.path.join(self.build, "bench", "load"), "--proxy",
             f"127.0.0.1:{self.port}", "--origin", self.origins[0],
             "--protocol", "socks5", "--work", "connect", "--users",
             str(USERS), "--count", str(USERS), "--concurrency", "8"],
            capture_output=True, check=False, timeout=120)
        if done.returncode:
            self.stop()
            raise RuntimeError("policy: the first logins fail: "
                               + done.stdout.decode())


def users_text(count):
    """A users file with hashes that cost a millisecond."""
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt.restype = ctypes.c_char_p
    return "".join(
        f"user-{n}:" + lib.crypt(b"secret-%d" % n,
                                 b"$5$rounds=1000$%08d" % n).decode() + "\n"
        for n in range(count))


def rule_texts(count):
    """Rules of which none but the last takes what the load asks for."""
    for n in range(count - 1):
        kind = n % 10
        net = f"10.{n >> 8}.{n & 255}.0/24"
        if kind < 4:
            yield f'  {{ action = "deny"; to = "{net}"; }}'
        elif kind < 7:
            yield f'  {{ action = "deny"; to = ".d{n}.example.com"; }}'
        elif kind < 9:
            yield (f'  {{ action = "allow"; to = "{net}"; '
                   f'users = [ "user-{n}" ]; }}')
        else:
            yield f'  {{ action = "deny"; ports = [ "{n % 1000 + 1}" ]; }}'
    yield '  { name = "bench"; action = "allow"; to = "127.0.0.0/8"; }'


def adapt(conf, port, workers, log):
    """The sample with its own address, two threads, and the log in a file.

    The targets of a benchmark are on this machine, which the sample guards,
    so one rule that names loopback goes in front of its own.
    """
    ports = [port]

    def own_address(_):
        found = ports.pop() if ports else free_port()
        return f'address = "127.0.0.1:{found}"'

    conf = re.sub(r"/\*.*?\*/", "", conf, flags=re.S)
    conf = re.sub(r"(?m)(^|\s)(#|//).*$", "", conf)
    conf = re.sub(r"\baddress\s*=\s*(\[(\s*\"[^\"]*\"\s*,?)*\s*\]|\"[^\"]*\")",
                  own_address, conf)
    conf = re.sub(r"(?m)^\s*(workers|user)\s*[=:][^;]*;", "", conf)
    conf = re.sub(r"(?m)^(\s*log\s*[=:]\s*\{)([^}]*)",
                  lambda m: f'{m[1]} target = "file:{log}";'
                  + re.sub(r"\btarget\s*=[^;]*;", "", m[2]), conf)
    conf = re.sub(r"(?m)^(\s*rules\s*[=:]\s*\()(\s*\)?)",
                  lambda m: m[1] + ' { action = "allow"; to = '
                  '[ "loopback" ]; ports = [ "1024-65535" ]; }'
                  + (m[2] if ")" in m[2] else "," + m[2]), conf)
    # Not beside the one of a daemon that runs here anyway.
    conf = re.sub(r"(?m)^(\s*admin\s*[=:]\s*\{)", r'\1 socket = "";', conf)
    # All clients come from one address.
    conf = re.sub(r"\bper_client\s*[=:][^;]*;", "", conf)
    conf = re.sub(r"(?m)^(\s*limits\s*[=:]\s*\{)", r"\1 per_client = 1000000;",
                  conf)
    return f"workers = {workers};\n{conf}"


class Danted(Subject):
    name = binary = "danted"
    what = "SOCKS5"
    udp = True

    @classmethod
    def package(cls):
        return "dante-server"

    def command(self):
        conf = self.file("danted.conf", f"""\
logoutput: {self.folder}/danted.log
internal: 127.0.0.1 port = {self.port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect udpassociate
	log: connect error }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: udpreply }}
""")
        return [self.path(self.build), "-N", str(self.workers), "-f", conf,
                "-p", os.path.join(self.folder, "pid")]


class Microsocks(Subject):
    name = binary = "microsocks"
    what = "SOCKS5, a thread each"

    def command(self):
        return [self.path(self.build), "-i", "127.0.0.1", "-p",
                str(self.port)]


class Haproxy(Subject):
    """As its manual advises: it splices what looks like a stream."""

    name = binary = "haproxy"
    protocol = "none"
    what = "plain forward, splice-auto"
    splice = "option splice-auto"

    def bind(self):
        """More words for its listeners."""
        return ""

    def command(self):
        fronts = ""
        for origin in self.origins:
            port = free_port()
            self.address[origin] = f"127.0.0.1:{port}"
            fronts += f"""
listen o{port}
	bind 127.0.0.1:{port} {self.bind()}
	server origin {origin}
"""
        conf = self.file("haproxy.cfg", f"""\
global
	nbthread {self.workers}
	maxconn 9300
	maxpipes 200
	log stdout format raw local0 info
defaults
	mode tcp
	log global
	option tcplog
	{self.splice}
	timeout connect 15s
	timeout client 1h
	timeout server 1h
{fronts}""")
        return [self.path(self.build), "-db", "-f", conf]


class HaproxySplice(Haproxy):
    """Splices everything: at its best for bulk, and only measured there."""

    name = "haproxy-sp"
    works = ("down", "up", "paced")
    what = "the same, always splicing"
    splice = "option splice-request\n\toption splice-response"

    @classmethod
    def package(cls):
        return "haproxy"


class Nginx(Subject):
    name = binary = "nginx"
    protocol = "none"
    what = "plain forward, stream"
    extra = ""

    def listen(self):
        """More lines for its listeners."""
        return ""

    def command(self):
        servers = ""
        for origin in self.origins:
            port = free_port()
            self.address[origin] = f"127.0.0.1:{port}"
            servers += f"""
	server {{
		listen 127.0.0.1:{port} {self.extra} reuseport backlog=4096;
		proxy_pass {origin};
		proxy_timeout 1h;
		{self.listen()}
	}}
"""
        modules = "/usr/lib/nginx/modules/ngx_stream_module.so"
        load = f"load_module {modules};" if os.path.exists(modules) else ""
        conf = self.file("nginx.conf", f"""\
{load}
daemon off;
worker_processes {self.workers};
worker_rlimit_nofile 20000;
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 19900; }}
stream {{
	log_format basic '$remote_addr [$time_local] $protocol $status '
			 '$bytes_sent $bytes_received $session_time';
	access_log {self.folder}/access.log basic;
{servers}
}}
""")
        return [self.path(self.build), "-p", self.folder, "-c", conf]


class Tinyproxy(Subject):
    name = binary = "tinyproxy"
    protocol = "connect"
    what = "HTTP, a thread each"
    works = PLAIN + WEB

    def command(self):
        conf = self.file("tinyproxy.conf", f"""\
Port {self.port}
Listen 127.0.0.1
Timeout 600
MaxClients 9900
Allow 127.0.0.0/8
LogFile "{self.folder}/tinyproxy.log"
LogLevel Connect
PidFile "{self.folder}/pid"
""")
        return [self.path(self.build), "-d", "-c", conf]


class Squid(Subject):
    name = binary = "squid"
    protocol = "connect"
    what = "HTTP"
    works = PLAIN + WEB

    def command(self):
        # Its workers run as `proxy` and meet in /run/squid.
        shutil.chown(self.folder, "proxy")
        os.makedirs("/run/squid", exist_ok=True)
        shutil.chown("/run/squid", "proxy")
        conf = self.file("squid.conf", f"""\
workers {self.workers}
http_port 127.0.0.1:{self.port}
http_access allow all
cache deny all
max_filedescriptors {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}
access_log stdio:{self.folder}/access.log
cache_log {self.folder}/cache.log
pid_filename {self.folder}/squid.pid
coredump_dir {self.folder}
shutdown_lifetime 0 seconds
""")
        return [self.path(self.build), "--foreground", "-n",
                f"bench{self.port}", "-f", conf]


ALL = [Floor, UdpFloor, LoginFloor, Spliced, Policy, Floor2, UdpFloor2,
       LoginFloor2, Haproxy, HaproxySplice,
       Nginx, Microsocks, Danted, Tinyproxy, Squid]
