"""The library as others get it: installed, linked, with names of its own."""
import ctypes
import fcntl
import os
import re
import shlex
import socket
import ssl
import subprocess

from lib import proc
from lib.case import SANITIZED, Skip, each, eventually, patient, same, tool
from lib.client import dial, read_all, read_exact

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
HEADER = os.path.join(TOP, 'core/tcpserver.h')
SO_NAME = 'libtcpserver.so.0'

# C and C++ alike.  Names of functions inside of the library are taken.
PROGRAM = r'''
#include <tcpserver.h>

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int addr_parse(int n);
int loop_run(int n);
int addr_parse(int n)
{
	return n + 1;
}
int loop_run(int n)
{
	return addr_parse(n) * 2;
}
#ifdef __cplusplus
}
#endif

static void echo(struct tcp_conn *c, void *ctx)
{
	char b[1000];
	ssize_t n;

	(void)ctx;
	while ((n = tcp_conn_read(c, b, sizeof(b), tcp_deadline(20000))) > 0)
		if (tcp_conn_write_all(c, b, (size_t)n, TCPSERVER_NEVER) < 0)
			return;
}

static int listen_on(struct tcp_server *s, struct tcp_tls *tls)
{
	struct tcp_listen_options o;
	char text[TCPSERVER_ADDR_STRLEN];
	struct tcp_listener *l;
	int r;

	memset(&o, 0, sizeof(o));
	o.tls = tls;
	r = tcp_server_listen_text(s, "127.0.0.1:0", &o, echo, NULL, &l);
	if (r == 0)
		printf("%s\n", tcp_addr_format(tcp_listener_addr(l), text,
					       sizeof(text)));
	return r;
}

int main(int argc, char **argv)
{
	struct tcp_tls_certificate cert;
	struct tcp_server_options so;
	struct tcp_tls_options to;
	struct tcp_server *s;
	struct tcp_tls *tls;
	char why[200];

	memset(&cert, 0, sizeof(cert));
	memset(&so, 0, sizeof(so));
	memset(&to, 0, sizeof(to));
	cert.chain_file = argc > 1 ? argv[1] : "";
	to.certificates = &cert;
	to.certificate_count = 1;
	so.workers = 2;
	if (loop_run(20) != 42)
		return 1;
	if (tcp_tls_new(&tls, &to, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (tcp_server_new(&s, &so) < 0 || listen_on(s, NULL) < 0 ||
	    listen_on(s, tls) < 0 || tcp_server_start(s) < 0)
		return 1;
	tcp_tls_unref(tls);
	fflush(stdout);
	(void)getchar();
	printf("cut %zu\n", tcp_server_shutdown(s, 10000));
	tcp_server_free(s);
	return 0;
}
'''


# --- Installing -------------------------------------------------------------

def knobs(build):
    """What make was told that is running this test, or would have been."""
    words = shlex.split(os.environ.get('MAKEFLAGS', ''))
    told = [w for w in words if re.match(r'[A-Z]+=', w)]
    by_name = {'dev': ['DEV=1'], 'clang': ['CC=clang']}
    return told or by_name.get(os.path.basename(build), [])


def make(t, *words):
    env = {k: v for k, v in os.environ.items()
           if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    done = t.run('make', '-C', TOP, *words, *knobs(t.build), env=env,
                 seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(t):
    """Where the tests of one run have the library installed."""
    if SANITIZED or os.path.basename(t.build) == 'coverage':
        raise Skip('a library with sanitizers or counters is not installed')
    run = os.path.dirname(t.dir)
    root = os.path.join(run, 'installed')
    with open(root + '.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(root):
            make(t, 'install', f'DESTDIR={root}.new')
            os.rename(root + '.new', root)
    return root


def find(root, name):
    """The path of the one file or link of that name."""
    found = [os.path.join(folder, name) for folder, folders, files
             in os.walk(root) if name in files + folders]
    assert len(found) == 1, found
    return found[0]


def library(t):
    return os.path.dirname(find(installed(t), 'libtcpserver.a'))


def said(t, *command, **options):
    """What a program prints that ends well."""
    done = t.run(*command, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode()


def pkg_config(t, *words):
    """Asks for the flags of what was installed below another root."""
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=installed(t),
               PKG_CONFIG_PATH=os.path.join(library(t), 'pkgconfig'))
    return said(t, tool('pkg-config', 'pkg-config'), *words, 'tcpserver',
                env=env).split()


# --- What it shows ----------------------------------------------------------

def declared():
    """The functions of the header."""
    with open(HEADER, encoding='utf-8') as f:
        text = re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)
    names = re.findall(r'^(?!typedef|\s|#).*?\b(tcp_\w+)\(', text, re.M)
    assert len(names) > 60, names
    return set(names)


def symbols(t, path, *options):
    """What a library has under a name: {name: version}."""
    lines = said(t, 'nm', '--format=posix', *options, path).splitlines()
    words = [line.split() for line in lines if ' ' in line]
    # The name of a version is a symbol of its own, an absolute one.
    pairs = [w[0].partition('@')[::2] for w in words if w[1] != 'A']
    return {name: version.strip('@') for name, version in pairs}


def test_the_shared_library_exports_the_functions_of_its_header(t):
    path = os.path.join(library(t), SO_NAME)
    found = symbols(t, path, '--dynamic', '--defined-only')
    same(set(found) ^ declared(), set())
    same(set(found.values()), {'TCPSERVER_0.1'})


def test_the_static_library_shows_the_functions_of_its_header(t):
    path = find(installed(t), 'libtcpserver.a')
    found = symbols(t, path, '--extern-only', '--defined-only')
    same(set(found) ^ declared(), set())


def test_the_installed_library_resolves_no_names(t):
    path = os.path.join(library(t), SO_NAME)
    text = said(t, 'objdump', '-p', path)
    same(re.findall(r'SONAME\s+(\S+)', text), [SO_NAME])
    same({name.split('.')[0] for name in re.findall(r'NEEDED\s+(\S+)', text)},
         {'libssl', 'libcrypto', 'libc'})
    static = find(installed(t), 'libtcpserver.a')
    wanted = symbols(t, static, '--undefined-only')
    assert not [name for name in wanted if name.startswith('ares_')], wanted


def test_the_shared_library_is_hardened(t):
    text = said(t, 'readelf', '--wide', '--dynamic', '--segments',
                os.path.join(library(t), SO_NAME))
    assert 'BIND_NOW' in text and 'GNU_RELRO' in text, text
    assert 'TEXTREL' not in text and not re.search('STACK.*RWE', text), text


def test_the_shared_library_can_be_loaded_by_a_running_program(t):
    lib = ctypes.CDLL(os.path.join(library(t), 'libtcpserver.so'))
    address = ctypes.create_string_buffer(24)
    text = ctypes.create_string_buffer(72)
    same(lib.tcp_addr_parse(address, b'[2001:db8::1]:443', -1), 0)
    lib.tcp_addr_format(address, text, ctypes.c_size_t(72))
    same(text.value, b'[2001:db8::1]:443')


def test_pkg_config_knows_the_version(t):
    with open(os.path.join(TOP, 'configure.ac'), encoding='utf-8') as f:
        version = re.search(r'AC_INIT\(\[spliced], \[([\d.]+)]', f.read())[1]
    same(pkg_config(t, '--modversion'), [version])
    assert '-lssl' not in pkg_config(t, '--libs')
    assert '-lssl' in pkg_config(t, '--static', '--libs')


def test_every_function_has_a_manual(t):
    pages = os.path.dirname(find(installed(t), 'tcpserver.3'))
    with open(os.path.join(pages, 'tcpserver.3'), encoding='utf-8') as f:
        text = f.read()
    assert '@' not in re.sub('@(name|NAME)', '', text), 'a folder is missing'
    for name in declared():
        assert re.search(rf'(Fn|Fo) {name}\b', text), name
        assert os.path.exists(os.path.join(pages, name + '.3')), name


def test_uninstall_removes_what_install_has_put_there(t):
    installed(t)
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}')
    make(t, 'uninstall', f'DESTDIR={root}')
    left = [name for _, _, files in os.walk(root) for name in files]
    same(left, ['spliced.conf'])


# --- Programs of others -----------------------------------------------------

def certificate(t):
    path = t.path('server.pem')
    said(t, tool('openssl', 'openssl'), 'req', '-x509', '-newkey', 'ec',
         '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
         '-subj', '/CN=server.example', '-addext',
         'subjectAltName=DNS:server.example', '-out', path,
         '-keyout', t.path('key.pem'))
    with open(t.path('key.pem'), 'rb') as key, open(path, 'ab') as f:
        f.write(key.read())
    return path


def flags(t, linking):
    """How a program is linked with the library."""
    if linking == 'shared':
        return pkg_config(t, '--cflags', '--libs')
    return ['-static'] + pkg_config(t, '--static', '--cflags', '--libs')


def address_of(text):
    host, _, port = text.strip().rpartition(':')
    return host.strip('[]'), int(port)


@each('c shared', 'c static', 'c++ shared', 'c++ static')
def test_a_program_of_others_is_built_and_serves(t, kind):
    language, linking = kind.split()
    compiler = {'c': ['gcc', '-std=c11'], 'c++': ['g++', '-std=c++11']}
    source = t.file('server.' + {'c': 'c', 'c++': 'cc'}[language], PROGRAM)
    tool(compiler[language][0], compiler[language][0])
    said(t, *compiler[language], '-Wall', '-Wextra', '-Wpedantic', '-Werror',
         '-o', t.path('server'), source, *flags(t, linking), seconds=60)
    pem = certificate(t)
    env = dict(os.environ, LD_LIBRARY_PATH=library(t))
    p = t.start(t.path('server'), pem, env=env, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE)
    plain = address_of(p.stdout.readline().decode())
    secure = address_of(p.stdout.readline().decode())
    with dial(plain) as s:
        s.sendall(b'plain')
        same(read_exact(s, 5), b'plain')
    context = ssl.create_default_context(cafile=pem)
    with context.wrap_socket(dial(secure),
                             server_hostname='server.example') as s:
        s.sendall(b'encrypted')
        same(read_exact(s, 9), b'encrypted')
        s.unwrap().close()
    p.stdin.close()
    same(p.stdout.read(), b'cut 0\n')
    same(p.wait(patient(10)), 0)
    p.stdout.close()


# --- The examples -----------------------------------------------------------

def port_of(pid):
    """The port of the one TCP address that a process listens on."""
    ours = set(proc.sockets(pid).values())
    with open(f'/proc/{pid}/net/tcp', encoding='ascii') as f:
        next(f)
        for row in map(str.split, f):
            if row[3] != '0A':
                break  # those that listen come first
            if int(row[9]) in ours:
                return int(row[1].partition(':')[2], 16)
    return None


def example(t, name):
    """Starts an example; where it listens."""
    p = t.start(os.path.join(t.build, 'examples', name), '127.0.0.1:0')
    port = eventually(lambda: port_of(p.pid), said=f'{name} does not listen')
    return p, ('127.0.0.1', port)


def test_an_echo_server_has_15_lines_at_most(t):
    with open(os.path.join(TOP, 't/examples/echo.c'), encoding='utf-8') as f:
        assert len(f.readlines()) <= 15


def test_the_echo_server_answers_and_survives_its_clients(t):
    p, address = example(t, 'echo')
    with dial(address) as s:
        for part in (b'a', b'b' * 5000, b'c' * 100000):
            s.sendall(part)
            same(read_exact(s, len(part)), part)
        s.sendall(b'end')
        s.shutdown(socket.SHUT_WR)
        same(read_all(s), b'end')
    for _ in range(20):  # gone while it is being written to
        with dial(address, receive=2048) as s:
            s.setblocking(False)
            while True:
                try:
                    s.send(bytes(65536))
                except BlockingIOError:
                    break
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b'\1\0\0\0\0\0\0\0')
    with dial(address) as s:
        s.sendall(b'there')
        same(read_exact(s, 5), b'there')
    assert p.poll() is None, p.returncode


def test_the_echo_server_listens_on_a_unix_socket_too(t):
    path = t.path('socket')
    t.start(os.path.join(t.build, 'examples/echo'), f'unix:{path}')

    def answers():
        with socket.socket(socket.AF_UNIX) as s:
            if s.connect_ex(path):
                return False
            s.settimeout(patient(10))
            s.sendall(b'hello')
            return read_exact(s, 5) == b'hello'
    eventually(answers)


def test_an_example_without_an_address_ends(t):
    for name in ('echo', 'http'):
        done = t.run(os.path.join(t.build, 'examples', name))
        assert done.returncode in (1, 2), done


def reply(s):
    """A whole reply: its status line, fields and body."""
    head = bytearray()
    while not head.endswith(b'\r\n\r\n'):
        head += read_exact(s, 1)
    lines = head.decode().split('\r\n')
    fields = dict(line.lower().split(': ', 1) for line in lines[1:-2])
    return lines[0], fields, int(fields['content-length'])


def test_the_http_server_keeps_a_connection_for_many_requests(t):
    _, address = example(t, 'http')
    request = b'GET / HTTP/1.1\r\nHost: here\r\n\r\n'
    with dial(address) as s:
        for part in (request[:9], request[9:] + request + request):
            s.sendall(part)
        for _ in range(3):
            status, fields, length = reply(s)
            same(status, 'HTTP/1.1 200 OK')
            assert 'connection' not in fields and fields['date'], fields
            same(read_exact(s, length), b'Hello, world\n')
        s.sendall(b'HEAD' + request[3:] + request)
        same(reply(s)[0], 'HTTP/1.1 200 OK')
        same(reply(s)[0], 'HTTP/1.1 200 OK')
        s.shutdown(socket.SHUT_WR)
        same(read_all(s), b'Hello, world\n')


@each('GET / HTTP/1.0\r\n', 'GET / HTTP/1.1\r\nCONNECTION: Close\r\n',
      'POST / HTTP/1.1\r\nContent-Length: 9\r\n')
def test_the_http_server_closes_after_its_answer(t, head):
    _, address = example(t, 'http')
    with dial(address) as s:
        s.sendall(head.encode() + b'\r\nnot read\n')
        status, fields, length = reply(s)
        same(status.split()[1], '405' if 'POST' in head else '200')
        same(fields['connection'], 'close')
        s.shutdown(socket.SHUT_WR)
        same(len(read_all(s)), length)


def test_the_http_server_closes_on_a_head_without_end(t):
    _, address = example(t, 'http')
    with dial(address) as s:
        s.sendall(b'GET / HTTP/1.1\r\n' + b'a' * 3000)
        s.shutdown(socket.SHUT_WR)
        same(read_all(s), b'')
