"""The HTTP servers that server.py measures: how each is started for a test."""
import os

import subjects


def cpu_of(index):
    return str(sorted(os.sched_getaffinity(0))[index])


class Server(subjects.Subject):
    """One server, as one test wants it, on the first CPU."""

    def __init__(self, build, folder, test):
        super().__init__(build, folder, 1, [""])
        self.test = test
        self.folder_of_all = os.path.dirname(folder)

    @property
    def where(self):
        return self.address[""]

    @property
    def key_files(self):
        return [os.path.join(self.folder_of_all, n) for n in
                ("cert.pem", "key.pem")]

    @classmethod
    def serves_test(cls, _test):
        return True

    def command(self):
        return ["taskset", "-c", cpu_of(0), *self.program()]

    def program(self):
        raise NotImplementedError


class Ours(Server):
    name = "http-server"
    what = "on <core/tcpserver.h>"
    file_name = "http-server"
    extra = ["--workers", "1"]

    @classmethod
    def path(cls, build):
        path = os.path.join(build, "bench", cls.file_name)
        return path if os.path.exists(path) else None

    @classmethod
    def version(cls, _build):
        return ""

    def program(self):
        t = self.test
        words = [self.path(self.build), "--listen", self.where, "--size",
                 str(t.size), *self.extra]
        words += ["--close"] * t.close + ["--aes128"] * t.aes
        if t.sleep_ms:
            words += ["--sleep", str(t.sleep_ms)]
        if t.tls:
            words += ["--tls", ":".join(self.key_files)]
        return words


class Floor(Ours):
    name = "floor"
    what = "httpfloor.c, the practical limit"
    file_name = "httpfloor"
    extra = []


class Floor2(Floor):
    name = "floor2"
    what = "the same once more"


class Nginx(Server):
    """Without an access log; what it does not have, encrypting, is left."""

    name = binary = "nginx"
    what = "one worker, no access log"

    @classmethod
    def serves_test(cls, test):
        return not test.aes and not test.sleep_ms

    def program(self):
        t = self.test
        body = "".join(chr(ord("a") + i % 26) for i in range(t.size))
        answer = f'return 200 "{body}";'
        if t.size > 4000:  # a word of its configuration cannot be longer
            self.file("index", body)
            answer = (f"root {self.folder}; try_files /index =404; "
                      "open_file_cache max=10;")
        cert, key = self.key_files
        tls = (f"ssl_certificate {cert}; ssl_certificate_key {key}; "
               "ssl_protocols TLSv1.2 TLSv1.3;") if t.tls else ""
        conf = self.file("nginx.conf", f"""\
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 19900; }}
http {{
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout {"0" if t.close else "1h"};
	keepalive_requests 1000000000;
	client_body_temp_path {self.folder}/1;
	proxy_temp_path {self.folder}/2;
	fastcgi_temp_path {self.folder}/3;
	uwsgi_temp_path {self.folder}/4;
	scgi_temp_path {self.folder}/5;
	server {{
		listen {self.where}{" ssl" if t.tls else ""} backlog=4096;
		{tls}
		location / {{ {answer} }}
	}}
}}
""")
        return [self.path(self.build), "-p", self.folder, "-c", conf]


ALL = [Floor, Ours, Floor2, Nginx]
