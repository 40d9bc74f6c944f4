"""Measurements of tuning.py over lines that are slow, lossy or crowded."""
import contextlib
import re
import select
import socket
import ssl
import statistics
import struct
import subprocess
import threading
import time

from lib import client, net
from lib.case import eventually
from tuning_parts import Daemon, far_end, load, origin, say, sysctl

FAR = "10.77.0.2"


def rest_of(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def crowd(address, count, seconds, begin):
    """Clients that all connect now: how long until each was greeted."""
    poll = select.epoll()
    sockets = {}
    start = time.monotonic()
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(address)
        sockets[s.fileno()] = s
        poll.register(s, select.EPOLLOUT)
    time.sleep(max(0, start + 0.3 - time.monotonic()))
    begin()
    took, broken = [], 0
    while sockets and time.monotonic() < start + seconds:
        for fd, _ in poll.poll(0.1):
            s = sockets[fd]
            try:
                if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionError
                try:
                    got = s.recv(2)
                except BlockingIOError:
                    s.send(b"\5\1\0")
                    poll.modify(s, select.EPOLLIN)
                    continue
                if not got:
                    raise ConnectionError
                took.append(time.monotonic() - start)
            except OSError:
                broken += 1
            poll.unregister(fd)
            sockets.pop(fd).close()
    return {"greeted": len(took), "broken": broken, "left": len(sockets),
            "later_than_900_ms": sum(s > 0.9 for s in took),
            "median_s": statistics.median(took), "max_s": max(took)}


def short_sessions(address, target, seconds):
    """Sessions that the client ends, one after the other."""
    done = refused = 0
    end = time.monotonic() + seconds
    head = b"SPLBe" + bytes(11)
    while time.monotonic() < end:
        with socket.create_connection(address) as s:
            s.sendall(b"\5\1\0")
            client.read_exact(s, 2)
            s.sendall(client.socks5_request(*rest_of(target)))
            if client.read_exact(s, 10)[1]:
                refused += 1
                continue
            s.sendall(head + b"x")
            s.shutdown(socket.SHUT_WR)
            while s.recv(64):
                pass
            done += 1
    return {"sessions_per_s": done / seconds,
            "refused_per_s": refused / seconds}


def handshakes(address, count, again):
    """TLS handshakes and a greeting; resumed where `again`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    session, resumed = None, 0
    for _ in range(count):
        with socket.create_connection(address) as plain, \
                context.wrap_socket(plain, session=session) as s:
            s.sendall(b"\5\1\0")
            client.read_exact(s, 2)
            resumed += s.session_reused
            if again:
                session = s.session
    assert resumed >= count - 1 if again else not resumed, resumed
    return count


# --- Windows, loss, idle times ----------------------------------------------

def line(t, *how):
    """A slow line to a namespace, whose origin can send all it wants."""
    lag = net.Lag(t, *how)
    lag.far.address = FAR
    with lag.far.inside():
        for name in ("rmem", "wmem"):
            sysctl(f"net.ipv4.tcp_{name}", "4096 131072 67108864")
        sysctl("net.ipv4.tcp_no_metrics_save", 1)
    sysctl("net.ipv4.tcp_no_metrics_save", 1)
    lag.far.ip("route", "replace", "10.77.0.1", "dev", "lag0", "congctl",
               "cubic")
    control_by("cubic")
    return lag


def control_by(name):
    """Only the first namespace may choose one that not everybody may use."""
    net.ip("route", "replace", FAR, "dev", "lag0", "congctl", name)


def rate(d, o, kind, seconds):
    one = load(d, o, kind, 1, seconds)
    one.line()
    one.say()
    report = one.json()
    one.say()
    one.end()
    return report["bytes"] * 8 / report["seconds"] / 1e6


def windows(t):
    """One tunnel over 50 ms, by the bounds of tcp_rmem and tcp_wmem."""
    lag = line(t, 25)
    o = origin(t, lag.far)
    for kind, name, start in (("down", "rmem", 131072), ("up", "wmem", 16384)):
        for size in (262144, 1 << 20, 4 << 20, 6 << 20, 16 << 20, 32 << 20):
            sysctl(f"net.ipv4.tcp_{name}", f"4096 {start} {size}")
            d = Daemon(t)
            say(work=kind, setting=f"tcp_{name}", most=size,
                mbit_per_s=rate(d, o, kind, 4))
            d.end()


def loss(t):
    """One tunnel over 50 ms with one packet in 1000, in 100 lost."""
    for percent in (0.1, 1):
        for control in ("cubic", "bbr"):
            lag = line(t, 25, 0, percent)
            o = origin(t, lag.far)
            sysctl("net.ipv4.tcp_wmem", "4096 16384 16777216")
            control_by(control)
            d = Daemon(t)
            say(lost_percent=percent, control=control,
                mbit_per_s=rate(d, o, "up", 6))
            d.end()
            lag.process.terminate()
            lag.process.wait()


def restart(t):
    """512 KiB over 100 ms after 2 s of silence."""
    lag = line(t, 50)
    size = 512 << 10
    with lag.far.inside():
        listener = socket.create_server((FAR, 0))

    def answer():
        while True:
            s, _ = listener.accept()
            with contextlib.suppress(EOFError):
                while client.read_exact(s, size):
                    s.sendall(b"x")

    threading.Thread(target=answer, daemon=True).start()
    for after_idle in (1, 0):
        sysctl("net.ipv4.tcp_slow_start_after_idle", after_idle)
        d = Daemon(t)
        took = []
        with client.tunnel(d.address, listener.getsockname(),
                           "socks5") as s:
            for i in range(12):
                if i >= 8:
                    time.sleep(2)
                begin = time.monotonic()
                s.sendall(bytes(size))
                client.read_exact(s, 1)
                took.append((time.monotonic() - begin) * 1000)
            say(slow_start_after_idle=after_idle,
                warm_ms=statistics.median(took[4:8]),
                after_silence_ms=statistics.median(took[8:]))
        d.end()


def fast_open(t):
    """From a client's request to the first byte of the answer, over 50 ms."""
    lag = line(t, 25)
    with lag.far.inside():
        sysctl("net.ipv4.tcp_fastopen", 3)
        listener = socket.socket()
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        listener.bind((FAR, 0))
        listener.listen()
    sysctl("net.ipv4.tcp_fastopen", 1)

    def answer():
        while True:
            with listener.accept()[0] as s:
                s.sendall(s.recv(10) or b"")

    threading.Thread(target=answer, daemon=True).start()
    for on in (False, True):
        d = Daemon(t, {"outbound": {"fastopen": on}})
        took = []
        for _ in range(9):
            begin = time.monotonic()
            with client.tunnel(d.address, listener.getsockname(),
                               "socks5") as s:
                s.sendall(b"x")
                client.read_exact(s, 1)
            took.append((time.monotonic() - begin) * 1000)
        say(fastopen=on, ms=statistics.median(took))


def vanished(t):
    """A client's line is cut: how long until its session ends."""
    ends = {"keepalive_idle": "5s", "keepalive_interval": "1s",
            "keepalive_count": 3}
    for unacknowledged, more in ((False, {}), (True, {}),
                                 (True, {"user_timeout": "8s"})):
        lag = net.Lag(t, 5)
        target = socket.create_server(("127.0.0.1", 0))
        d = Daemon(t, {"listeners": [{
            "name": "lan", "address": ["10.77.0.1:1080"], **ends, **more}]})
        with lag.far.inside():
            s = client.tunnel(d.address, target.getsockname(), "socks5")
        far, _ = target.accept()
        time.sleep(0.5)  # all is acknowledged
        lag.cut()
        if unacknowledged:
            far.sendall(b"x")
        begin = time.monotonic()
        said = "not within 15 s"
        with contextlib.suppress(AssertionError):
            said = d.wait_access(seconds=15)["outcome"]
        say(unacknowledged=unacknowledged, **more, outcome=said,
            after_s=time.monotonic() - begin)
        s.close()
        d.end()
        lag.process.terminate()
        lag.process.wait()


# --- Memory and floods ------------------------------------------------------

def socket_memory():
    """Bytes in the queues of this namespace's TCP sockets."""
    text = subprocess.run(["ss", "-tmnH", "state", "established"],
                          capture_output=True, text=True, check=True).stdout
    total = {"r": 0, "w": 0}
    for one in re.findall(r"skmem:\(([^)]*)\)", text):
        for word in one.split(","):
            found = re.fullmatch(r"([rw])(\d+)", word)
            if found:
                total[found[1]] += int(found[2])
    return total


def stuck(t):
    """Kernel memory of downloads whose clients do not read."""
    far = far_end(t)
    o = origin(t, far)
    count = 20
    usual = {"rmem": "4096 131072 6291456", "wmem": "4096 16384 4194304"}
    tight = {"rmem": "4096 131072 1048576", "wmem": "4096 16384 1048576"}
    for name, sizes, lowat in (("usual", usual, 4294967295),
                               ("notsent_lowat 128k", usual, 131072),
                               ("at most 1M", tight, 4294967295),
                               ("both", tight, 131072)):
        for key, size in sizes.items():
            sysctl(f"net.ipv4.tcp_{key}", size)
        sysctl("net.ipv4.tcp_notsent_lowat", lowat)
        d = Daemon(t, host="10.9.0.1")
        held = []
        with far.inside():
            for i in range(count):
                s = client.tunnel(d.address, rest_of(o), "socks5")
                s.sendall(b"SPLBs" + bytes(3) + struct.pack("<I", i)
                          + bytes(4))
                held.append(s)
        # Some reading makes windows grow, as with a client that was fast.
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for s in held:
                s.recv(1 << 18)
        last = None
        while last != (now := socket_memory()):
            last = now
            time.sleep(0.5)
        say(case=name, send_queue_kib=now["w"] / count / 1024,
            receive_queue_kib=now["r"] / count / 1024)
        for s in held:
            s.close()
        d.end()
        eventually(lambda: sum(socket_memory().values()) < 1 << 20, 20)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(source, target, i):
    """A whole packet that asks for a connection."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target[0])
    head = struct.pack("!HHIIBBHHH", 1024 + i % 60000, target[1], i * 7919,
                       0, 5 << 4, 2, 65535, 0, 0)
    total = checksum(addresses + struct.pack("!BBH", 0, 6, 20) + head)
    head = head[:16] + struct.pack("!H", total) + head[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 40, i & 0xffff, 0, 64, 6,
                       0) + addresses + head


def flood(t):
    """Honest clients beside 10,000 SYNs a second that nobody stands behind."""
    far = far_end(t)
    net.ip("route", "add", "default", "via", "10.9.0.2")
    for cookies, queue in ((0, 2048), (0, 16384), (1, 2048)):
        sysctl("net.ipv4.tcp_syncookies", cookies)
        sysctl("net.ipv4.tcp_max_syn_backlog", queue)
        d = Daemon(t, {"workers": 1}, host="10.9.0.1")
        with far.inside():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                socket.IPPROTO_RAW)
            packets = [syn(f"198.18.{i >> 8 & 255}.{i & 255}", d.address, i)
                       for i in range(30000)]
            stop = threading.Event()

            def go(raw=raw, packets=packets, stop=stop, to=d.address):
                begin = time.monotonic()
                for i, packet in enumerate(packets):
                    raw.sendto(packet, to)
                    if i % 100 == 99:
                        time.sleep(max(0, begin + i / 1e4
                                       - time.monotonic()))
                    if stop.is_set():
                        return

            thread = threading.Thread(target=go)
            thread.start()
            time.sleep(1.5)
            took = []
            for _ in range(10):
                begin = time.monotonic()
                try:
                    with socket.create_connection(d.address, 0.5) as s:
                        s.sendall(b"\5\1\0")
                        client.read_exact(s, 2)
                    took.append((time.monotonic() - begin) * 1000)
                except OSError:
                    pass
            stop.set()
            thread.join()
        say(syncookies=cookies, max_syn_backlog=queue, served=len(took),
            of=10, median_ms=statistics.median(took or [0.0]))
        d.end()


ALL = {f.__name__: f for f in (windows, loss, restart, fast_open, vanished,
                               stuck, flood)}
