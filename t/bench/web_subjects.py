"""HTTP and TLS: how those are configured that do either.

As in subjects.py: two workers, the access log to a file, persistent
connections on both sides, and for TLS one key for all, of P-256.
"""
import functools
import os
import subprocess

from subjects import Haproxy, Nginx, Spliced, free_port

TLS = ("tls", "tls-down", "tls-up", "tls-idle")


@functools.lru_cache(None)
def certificate(folder):
    """A chain and its key, in files of their own and in one."""
    os.makedirs(folder, exist_ok=True)
    chain, key, both = (os.path.join(folder, n)
                        for n in ("chain.pem", "key.pem", "both.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                    key, "-out", chain], check=True, capture_output=True)
    with open(both, "w", encoding="ascii") as out:
        for path in (chain, key):
            with open(path, encoding="ascii") as text:
                out.write(text.read())
    for path in (chain, key, both):
        os.chmod(path, 0o644)  # who serves may not be root
    return chain, key, both


def shared_certificate(subject):
    """One for all subjects of a run."""
    return certificate(os.path.join(os.path.dirname(subject.folder), "tls"))


# --- HTTP -------------------------------------------------------------------

class SocksSpliced(Spliced):
    """What CONNECT is held against."""

    name = "spliced-s5"
    what = "the same, asked by SOCKS5"
    works = ("http-connect",)
    udp = False

    def way(self, work):
        return "socks5"


class HttpNginx(Nginx):
    what = "proxy_pass"
    works = ("http",)

    def way(self, work):
        return "none"

    def command(self):
        servers = ""
        for origin in self.origins:
            port = free_port()
            self.address[origin] = f"127.0.0.1:{port}"
            servers += f"""
	upstream o{port} {{
		server {origin};
		keepalive 64;
		keepalive_requests 1000000000;
	}}
	server {{
		listen 127.0.0.1:{port} reuseport backlog=4096;
		location / {{
			proxy_pass http://o{port};
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}}
	}}
"""
        paths = "".join(f"\t{n}_temp_path {self.folder}/temp;\n" for n in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.file("nginx.conf", f"""\
daemon off;
worker_processes {self.workers};
worker_rlimit_nofile 20000;
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 19900; }}
http {{
	access_log {self.folder}/access.log;
	keepalive_requests 1000000000;
{paths}{servers}
}}
""")
        return [self.path(self.build), "-p", self.folder, "-c", conf]


class HttpNginx2(HttpNginx):
    name = "nginx2"
    what = "nginx once more"

    @classmethod
    def package(cls):
        return "nginx"


class HttpHaproxy(Haproxy):
    what = "mode http"
    works = ("http",)

    def command(self):
        fronts = ""
        for origin in self.origins:
            port = free_port()
            self.address[origin] = f"127.0.0.1:{port}"
            fronts += f"""
listen o{port}
	bind 127.0.0.1:{port}
	server origin {origin}
"""
        conf = self.file("haproxy.cfg", f"""\
global
	nbthread {self.workers}
	maxconn 9300
	log stdout format raw local0 info
defaults
	mode http
	log global
	option httplog
	option http-keep-alive
	http-reuse always
	timeout connect 15s
	timeout client 1h
	timeout server 1h
{fronts}""")
        return [self.path(self.build), "-db", "-f", conf]


# --- TLS --------------------------------------------------------------------

class TlsSpliced(Spliced):
    """A listener with TLS for each origin, forwarded as it comes."""

    what = "TLS before a fixed target"
    works = TLS
    udp = False

    def way(self, work):
        return "none"

    def command(self):
        chain, key, _ = shared_certificate(self)
        listeners = []
        for n, origin in enumerate(self.origins):
            port = free_port()
            self.address[origin] = f"127.0.0.1:{port}"
            listeners.append(f"""\
	{{ name = "bench{n}"; address = "127.0.0.1:{port}"; tls = "bench";
	   protocols = [ "forward" ]; target = "{origin}"; }}""")
        log = os.path.join(self.folder, "access.log")
        os.chmod(self.folder, 0o777)
        return [self.path(self.build), "--config",
                self.file("spliced.conf", f"""\
workers = {self.workers};
log: {{ target = "file:{log}"; }};
admin: {{ socket = ""; }};
limits: {{ per_client = 1000000; }};
tls: ( {{ name = "bench"; certificate = "{chain}"; key = "{key}"; }} );
listeners: (
{",".join(listeners)}
);
clients: ( {{ action = "allow"; }} );
rules: ( {{ action = "allow"; to = "127.0.0.0/8"; }} );
""")]


class TlsNginx(Nginx):
    what = "TLS before a plain stream"
    works = TLS
    extra = "ssl"

    def listen(self):
        chain, key, _ = shared_certificate(self)
        return f"""ssl_certificate {chain};
		ssl_certificate_key {key};
		ssl_protocols TLSv1.3;"""


class TlsNginx2(TlsNginx):
    name = "nginx2"
    what = "nginx once more"
    works = TLS[:3]

    @classmethod
    def package(cls):
        return "nginx"


class TlsHaproxy(Haproxy):
    what = "TLS before a plain forward"
    works = TLS

    def bind(self):
        return f"ssl crt {shared_certificate(self)[2]}"


ALL = [SocksSpliced, HttpNginx, HttpNginx2, HttpHaproxy, TlsSpliced, TlsNginx,
       TlsNginx2, TlsHaproxy]
