#!/usr/bin/python3
"""Is a SOCKS5 relay correct, and how many system calls does it take?

    floor_test.py --build build/bench                starts its floor
    floor_test.py --proxy 127.0.0.1:1080 [--pid P]   any other SOCKS5 proxy

A benchmark's denominator that loses bytes would be a fast one, so floor has to
pass what a real relay has to. Prints TAP. Needs nothing but Python, and strace
for the two counts (with --proxy they need --pid, the process to trace).
"""
import argparse
import hashlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 30
MIB = 1 << 20
GREETING = b"\x05\x01\x00"


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Server:
    """Runs handler(socket) in a thread for each connection."""

    def __init__(self, handler, family=socket.AF_INET, rcvbuf=0):
        self.handler = handler
        self.sock = socket.socket(family)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1",
                        0))
        self.sock.listen(512)
        self.addr = self.sock.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            conn.settimeout(PATIENCE)
            threading.Thread(target=self.serve, args=(conn,),
                             daemon=True).start()

    def serve(self, conn):
        try:
            with conn:
                self.handler(conn)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def request(addr):
    if ":" in addr[0]:
        return (b"\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, addr[0])
                + struct.pack(">H", addr[1]))
    return (b"\x05\x01\x00\x01" + socket.inet_aton(addr[0])
            + struct.pack(">H", addr[1]))


def exactly(sock, n):
    out = b""
    while len(out) < n:
        got = sock.recv(n - len(out))
        if not got:
            raise EOFError(f"end after {len(out)} of {n} bytes")
        out += got
    return out


def to_end(sock):
    parts = []
    while got := sock.recv(256 << 10):
        parts.append(got)
    return b"".join(parts)


def reply(sock):
    head = exactly(sock, 4)
    exactly(sock, {1: 6, 4: 18}[head[3]])
    return head[1]


def plain(proxy):
    sock = socket.create_connection(proxy, PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tunnel(proxy, addr):
    sock = plain(proxy)
    sock.sendall(GREETING)
    assert exactly(sock, 2) == b"\x05\x00"
    sock.sendall(request(addr))
    code = reply(sock)
    assert code == 0, f"reply {code}"
    return sock


def echo_until_end(conn):
    while got := conn.recv(65536):
        conn.sendall(got)


def test_reply_and_fin_together(proxy):
    """a reply of 100 bytes and its FIN arrive, 200 times"""
    body = os.urandom(100)

    def serve(conn):
        conn.recv(100)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        conn.sendall(body)

    with Server(serve) as server:
        for _ in range(200):
            with tunnel(proxy, server.addr) as sock:
                sock.sendall(b"?")
                assert to_end(sock) == body


def test_sent_at_once(proxy):
    """a server that speaks and closes at once is heard, 200 times"""
    body = os.urandom(100)
    with Server(lambda conn: conn.sendall(body)) as server:
        for _ in range(200):
            with tunnel(proxy, server.addr) as sock:
                assert to_end(sock) == body


def test_client_says_all_at_once(proxy):
    """data and FIN sent with the request arrive, 100 times"""
    got = []
    done = threading.Semaphore(0)

    def serve(conn):
        got.append(to_end(conn))
        conn.sendall(b"thanks")
        done.release()

    body = os.urandom(3000)
    with Server(serve) as server:
        for _ in range(100):
            with plain(proxy) as sock:
                sock.sendall(GREETING)
                assert exactly(sock, 2) == b"\x05\x00"
                sock.sendall(request(server.addr) + body)
                sock.shutdown(socket.SHUT_WR)
                assert reply(sock) == 0
                assert to_end(sock) == b"thanks"
            assert done.acquire(timeout=PATIENCE)
            assert got.pop() == body


def test_early_data(proxy):
    """bytes sent before the reply are kept, and the tunnel goes on"""
    with Server(echo_until_end) as server:
        for size in (1, 100, 70000):
            body = os.urandom(size)
            with plain(proxy) as sock:
                sock.sendall(GREETING)
                assert exactly(sock, 2) == b"\x05\x00"
                sock.sendall(request(server.addr) + body)
                assert reply(sock) == 0
                assert exactly(sock, size) == body
                sock.sendall(b"more")
                assert exactly(sock, 4) == b"more"


def test_pipelined(proxy):
    """greeting, request and data in one segment"""
    with Server(echo_until_end) as server, plain(proxy) as sock:
        sock.sendall(GREETING + request(server.addr) + b"hello")
        assert exactly(sock, 2) == b"\x05\x00"
        assert reply(sock) == 0
        assert exactly(sock, 5) == b"hello"


def test_byte_by_byte(proxy):
    """a handshake that comes byte by byte"""
    with Server(echo_until_end) as server, plain(proxy) as sock:
        for byte in b"\x05\x03\x02\x01\x00" + request(server.addr) + b"x":
            sock.sendall(bytes([byte]))
            time.sleep(0.01)
        assert exactly(sock, 2) == b"\x05\x00"
        assert reply(sock) == 0
        assert exactly(sock, 1) == b"x"


def test_refused(proxy):
    """a refused target is reply 5"""
    with socket.socket() as closed, plain(proxy) as sock:
        closed.bind(("127.0.0.1", 0))
        sock.sendall(GREETING)
        exactly(sock, 2)
        sock.sendall(request(closed.getsockname()))
        assert reply(sock) == 5


def test_ipv6(proxy):
    """a target by IPv6 address"""
    with Server(echo_until_end, socket.AF_INET6) as server:
        with tunnel(proxy, server.addr) as sock:
            sock.sendall(b"six")
            assert exactly(sock, 3) == b"six"


def test_half_close_by_client(proxy):
    """the client ends first and gets 5 MiB afterwards"""
    body = os.urandom(5 * MIB)

    def serve(conn):
        assert to_end(conn) == b"all of it"
        time.sleep(0.2)
        conn.sendall(body)

    with Server(serve) as server, tunnel(proxy, server.addr) as sock:
        sock.sendall(b"all of it")
        sock.shutdown(socket.SHUT_WR)
        assert to_end(sock) == body


def test_half_close_by_server(proxy):
    """the server ends first and gets 5 MiB afterwards"""
    body = os.urandom(5 * MIB)
    seen, done = [], threading.Event()

    def serve(conn):
        conn.sendall(b"banner")
        conn.shutdown(socket.SHUT_WR)
        seen.append(to_end(conn))
        done.set()

    with Server(serve) as server, tunnel(proxy, server.addr) as sock:
        assert to_end(sock) == b"banner"
        time.sleep(0.2)
        sock.sendall(body)
        sock.shutdown(socket.SHUT_WR)
        assert done.wait(PATIENCE) and seen[0] == body


def urgent_amid(proxy, send, recv_slowly):
    """One urgent byte amid 9 MiB; it may come in line or be left out."""
    half = os.urandom(9 * MIB // 2)

    def serve(conn):
        conn.sendall(half)
        conn.send(b"!", socket.MSG_OOB)
        conn.sendall(half)

    seen, done = [], threading.Event()

    def take(conn):
        if recv_slowly:
            time.sleep(0.5)
        seen.append(to_end(conn))
        done.set()

    with Server(serve if send == "server" else take) as server:
        with tunnel(proxy, server.addr) as sock:
            (take if send == "server" else serve)(sock)
            if send == "client":
                sock.shutdown(socket.SHUT_WR)
            assert done.wait(PATIENCE), "it hangs"
    assert seen[0] in (half + half, half + b"!" + half), len(seen[0])
    return "in line" if len(seen[0]) > 2 * len(half) else "left out"


def test_urgent(proxy):
    """an urgent byte amid 9 MiB, both ways, quick and slow readers"""
    how = {urgent_amid(proxy, send, slow) for send in ("server", "client")
           for slow in (False, True) for _ in range(3)}
    return "the byte itself is " + " or ".join(sorted(how))


def test_urgent_ping(proxy):
    """urgent bytes between small messages: telnet"""
    with Server(echo_until_end) as server:
        with tunnel(proxy, server.addr) as sock:
            for _ in range(50):
                sock.sendall(b"abc")
                sock.send(b"!", socket.MSG_OOB)
                sock.sendall(b"def")
                got = exactly(sock, 6)
                if got == b"abc!de":
                    exactly(sock, 1)
                else:
                    assert got == b"abcdef", got


def digest_of(sock):
    seen = hashlib.sha256()
    while got := sock.recv(256 << 10):
        seen.update(got)
    return seen.digest()


def send_random(sock, seed, size, slow):
    """Pieces of any size, with pauses; returns the digest."""
    dice, sent, left = random.Random(seed), hashlib.sha256(), size
    while left:
        piece = dice.randbytes(min(left, dice.choice((1, 999, 65536, MIB))))
        sock.sendall(piece)
        sent.update(piece)
        left -= len(piece)
        if slow and dice.random() < 0.01:
            time.sleep(0.001)
    sock.shutdown(socket.SHUT_WR)
    return sent.digest()


def both_ways(proxy, size, slow=False, rcvbuf=0):
    result = {}

    def both(sock, me):
        def send():
            try:
                result[me + " sent"] = send_random(sock, me, size, slow)
            except OSError as e:
                result[me + " sent"] = e

        sender = threading.Thread(target=send)
        sender.start()
        result[me + " got"] = digest_of(sock)
        sender.join()

    done = threading.Event()

    def serve(conn):
        both(conn, "server")
        done.set()

    with Server(serve, rcvbuf=rcvbuf) as server:
        with tunnel(proxy, server.addr) as sock:
            both(sock, "client")
        assert done.wait(PATIENCE), "it hangs"
    assert result["server sent"] == result["client got"]
    assert result["client sent"] == result["server got"]


def test_100_mib_both_ways(proxy):
    """100 MiB both ways at once, by checksum"""
    both_ways(proxy, 100 * MIB)


def test_both_ways_in_bits(proxy):
    """8 MiB both ways in pieces, small receive buffers, 8 at once"""
    failed = []

    def one():
        try:
            both_ways(proxy, 8 * MIB, slow=True, rcvbuf=8192)
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed


def test_slow_reader(proxy):
    """40 MiB to a client that stops reading for a second"""
    body = os.urandom(40 * MIB)
    with Server(lambda conn: conn.sendall(body)) as server:
        with tunnel(proxy, server.addr) as sock:
            first = exactly(sock, 1000)
            time.sleep(1)
            assert first + to_end(sock) == body


def counted(pid, run):
    """System calls of a process while run() runs, epoll_wait aside."""
    with tempfile.NamedTemporaryFile("r") as out:
        trace = subprocess.Popen(
            ["strace", "-c", "-f", "-U", "calls,name", "-o", out.name, "-p",
             str(pid)], stderr=subprocess.PIPE, text=True)
        trace.stderr.readline()  # attached
        time.sleep(0.2)
        run()
        time.sleep(0.1)
        trace.send_signal(signal.SIGINT)
        trace.wait(PATIENCE)
        rows = re.findall(r"^ *(\d+) +(\w+)$", out.read(), re.M)
    return {name: int(n) for n, name in rows
            if name not in ("total", "epoll_wait", "epoll_pwait",
                            "epoll_pwait2", "restart_syscall")}


def per(counts, units):
    return ", ".join(f"{n / units:.2f} {name}" for name, n in counts.items()
                     if n / units >= 0.01)


def test_calls_per_connection(proxy, pid):
    """at most 24 system calls per connection with a 1 KiB exchange"""
    body, units = os.urandom(1024), 300

    def serve(conn):
        exactly(conn, 1024)
        conn.sendall(body)

    def run():
        for _ in range(units):
            with tunnel(proxy, server.addr) as sock:
                sock.sendall(body)
                assert to_end(sock) == body

    with Server(serve) as server:
        run()
        counts = counted(pid, run)
    calls = sum(counts.values()) / units
    assert calls <= 24.05, f"{calls:.2f}: {per(counts, units)}"
    return f"{calls:.2f}: {per(counts, units)}"


def test_calls_per_round_trip(proxy, pid):
    """at most 4 system calls per 64-byte round trip"""
    units = 2000

    def run():
        for _ in range(units):
            sock.sendall(bytes(64))
            exactly(sock, 64)

    with Server(echo_until_end) as server:
        with tunnel(proxy, server.addr) as sock:
            run()
            counts = counted(pid, run)
    calls = sum(counts.values()) / units
    assert calls <= 4.05, f"{calls:.2f}: {per(counts, units)}"
    return f"{calls:.2f}: {per(counts, units)}"


# --- floor -a ---------------------------------------------------------------

LOGIN = b"\x01\x05alice\x06secret"


def login_lets_in(proxy):
    """who logs in gets through, whole or byte by byte"""
    with Server(echo_until_end) as server:
        for step in (1, 1000):
            with plain(proxy) as sock:
                said = b"\x05\x02\x00\x02" + LOGIN + request(server.addr)
                for at in range(0, len(said), step):
                    sock.sendall(said[at:at + step])
                assert exactly(sock, 4) == b"\x05\x02\x01\x00"
                assert reply(sock) == 0
                sock.sendall(b"hello")
                assert exactly(sock, 5) == b"hello"


def login_is_asked_for(proxy):
    """who does not offer a login, or says something else, is closed"""
    with plain(proxy) as sock:
        sock.sendall(GREETING)
        assert to_end(sock) == b"\x05\xff"
    with plain(proxy) as sock:
        sock.sendall(b"\x05\x01\x02")
        assert exactly(sock, 2) == b"\x05\x02"
        sock.sendall(b"\x05")
        assert to_end(sock) == b""


def run_all(proxy, pid, only, prefix="test_"):
    tests = [(name, f) for name, f in globals().items()
             if name.startswith(prefix) and (not only or only in name)]
    failed = 0
    print(f"1..{len(tests)}")
    for i, (name, f) in enumerate(tests, 1):
        args = (proxy, pid) if "calls" in name else (proxy,)
        title = f"{i} - {f.__doc__}"
        if "calls" in name and not pid:
            print(f"ok {title} # SKIP no --pid")
            continue
        start = time.monotonic()
        try:
            said = f(*args)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {title}\n# {type(e).__name__}: {e}", flush=True)
            continue
        print(f"ok {title} ({time.monotonic() - start:.1f} s)")
        if said:
            print(f"# {said}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/bench")
    parser.add_argument("--proxy", type=address)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--only", help="tests whose name has this word")
    args = parser.parse_args()
    if args.proxy:
        return 1 if run_all(args.proxy, args.pid, args.only) else 0
    failed = 0
    for prefix, more in (("test_", []), ("login_", ["-a"])):
        floor = subprocess.Popen(
            [os.path.join(args.build, "floor"), "--listen", "127.0.0.1:0",
             "--workers", "2", *more], stdout=subprocess.PIPE, text=True)
        try:
            proxy = address(floor.stdout.readline().split()[1])
            failed += run_all(proxy, floor.pid, args.only, prefix)
        finally:
            floor.kill()
            floor.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
