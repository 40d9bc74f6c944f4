"""Start, readiness, draining, the end, and the rights that are given up."""
import os
import pwd
import signal
import socket
import time

from lib import client, conf, proc
from lib.case import Skip, each, eventually, patient, same, valgrind
from lib.client import dial, echoes, read_to_end, tunnel
from lib.daemon import Daemon, parse_ready
from lib.dns import SILENT, DnsServer
from lib.origin import Listener, Origin, Silent, echo
from lib.serving import refused


@valgrind
def test_says_ready_to_the_service_manager(t):
    d = Daemon(t, wait=False)
    message = d.notified()
    while 'READY' not in message:
        message = d.notified()
    same(message['READY'], '1')
    # Ready means: whoever connects now is served.
    d.wait_ready()
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.signal(signal.SIGTERM)
    while 'STOPPING' not in message:
        message = d.notified()
    d.wait_exit(0)


def test_runs_without_a_service_manager(t):
    d = Daemon(t, env={'NOTIFY_SOCKET': None})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


def test_a_service_manager_that_is_gone_is_no_reason_to_fail(t):
    d = Daemon(t, env={'NOTIFY_SOCKET': '/nonexistent/notify'})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


@valgrind
def test_sigterm_lets_tunnels_finish(t):
    d = Daemon(t, {'timeouts': {'shutdown': '20s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        d.signal(signal.SIGTERM)
        eventually(lambda: refused(d.address), said='no new clients')
        for _ in range(10):
            assert echoes(s, client.noise(20000))
        assert d.process.poll() is None
    d.wait_exit(0, 5)
    d.wait_access(outcome='closed')


def test_sigterm_lets_a_handshake_finish(t):
    d = Daemon(t, {'timeouts': {'shutdown': '20s'}})
    o = Origin(t, echo)
    with dial(d.address) as s:
        client.socks5_greet(s)
        d.signal(signal.SIGTERM)
        eventually(lambda: refused(d.address), said='no new clients')
        s.sendall(client.socks5_request(*o.target))
        same(client.socks5_reply(s).code, client.SUCCEEDED)
        assert echoes(s)
    d.wait_exit(0, 5)


def test_a_silent_client_does_not_hold_up_the_end(t):
    # It has said nothing, so nothing of it would be lost.
    d = Daemon(t, {'timeouts': {'shutdown': '2s', 'handshake': '60s'}})
    with dial(d.address):
        d.signal(signal.SIGTERM)
        d.wait_exit(0, 5)


def test_the_drain_has_an_end(t):
    d = Daemon(t, {'timeouts': {'shutdown': '1s'}})
    near = tunnel(d.address, (o := Listener(t)).target)
    far = o.accept()
    start = time.monotonic()
    d.signal(signal.SIGTERM)
    with near, far:
        d.wait_exit(0, 5)
        assert time.monotonic() - start > 0.9
        read_to_end(near)
        read_to_end(far)
    d.wait_access(outcome='shutdown')


@each(signal.SIGTERM, signal.SIGINT)
def test_a_second_signal_ends_at_once(t, second):
    d = Daemon(t, {'timeouts': {'shutdown': '60s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        d.signal(signal.SIGTERM)
        eventually(lambda: refused(d.address))
        assert d.process.poll() is None
        d.signal(second)
        d.wait_exit(0, 3)
    d.wait_access(outcome='shutdown')


@valgrind
def test_sigint_ends_at_once(t):
    d = Daemon(t, {'timeouts': {'shutdown': '60s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s, dial(d.address) as other:
        assert echoes(s)
        other.sendall(b'\5')
        d.signal(signal.SIGINT)
        d.wait_exit(0, 3)
    d.wait_access(outcome='shutdown')


def test_ends_at_once_in_the_midst_of_everything(t):
    names = DnsServer(t, {('slow.example', k): SILENT for k in
                          ('A', 'AAAA')})
    d = Daemon(t, {'names': {'servers': [names.address]},
                   'timeouts': {'shutdown': '60s'}})
    o = Listener(t)
    silent = Silent(t)
    held = []
    for target in (('slow.example', 80), silent.target, o.target,
                   ('127.0.0.1', 1)) * 5:
        s = dial(d.address)
        s.sendall(client.request('http', target) + bytes(5000))
        held.append(s)
    for _ in range(5):
        held.append(o.accept())
    for start in (b'\5', b'CONN', b'\x16\3\1', b''):
        s = dial(d.address)
        s.sendall(start)
        held.append(s)
    time.sleep(0.3)
    d.signal(signal.SIGINT)
    d.wait_exit(0, 5)


def test_many_signals_end_it_but_once(t):
    d = Daemon(t, {'timeouts': {'shutdown': '60s'}})
    held = []
    for _ in range(500):
        s = dial(d.address)
        s.sendall(b'\5')
        held.append(s)
    for _ in range(50):
        if d.process.poll() is not None:
            break
        d.signal(signal.SIGINT)
        time.sleep(0.002)
    d.wait_exit(0, 5)


def test_drains_many_tunnels_under_load(t):
    d = Daemon(t, {'timeouts': {'shutdown': '2s'}})
    o = Origin(t, echo)
    held = [tunnel(d.address, o.target) for _ in range(100)]
    for s in held:
        s.sendall(bytes(50000))
    d.signal(signal.SIGTERM)
    for s in held[:50]:
        same(client.read_exact(s, 50000), bytes(50000))
        s.close()
    d.wait_exit(0, 8)
    same(len(d.access()), 100)


@valgrind
def test_privileges_are_dropped(t):
    if os.geteuid():
        raise Skip('needs to be started as root')
    d = Daemon(t)
    nobody = pwd.getpwnam('nobody')
    tids = proc.threads(d.worker)
    assert len(tids) >= 2
    for tid in tids:
        status = proc.status(d.worker, tid)
        assert set(status['Uid'].split()) == {str(nobody.pw_uid)}, status
        assert set(status['Gid'].split()) == {str(nobody.pw_gid)}, status
        assert int(status['CapEff'], 16) == 0, status['CapEff']
        assert int(status['CapPrm'], 16) == 0, status['CapPrm']
        groups = set(status['Groups'].split())
        assert groups <= {str(nobody.pw_gid)}, groups
        assert status['NoNewPrivs'] == '1', 'it could gain rights again'


def test_a_low_port_is_opened_before_rights_are_dropped(t):
    if os.geteuid():
        raise Skip('needs to be started as root')
    port = next(p for p in range(700, 1024) if is_free(p))
    d = Daemon(t, {'listeners': [conf.listener(
        address=[f'127.0.0.1:{port}'])]})
    same(d.address, ('127.0.0.1', port))
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


def is_free(port):
    with socket.socket() as s:
        try:
            s.bind(('127.0.0.1', port))
            return True
        except OSError:
            return False


def test_descriptors_of_the_parent_are_no_trouble(t):
    a, b = os.pipe()
    d = Daemon(t, pass_fds=(a, b))
    os.close(a)
    os.close(b)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


def test_sockets_are_not_inherited(t):
    d = Daemon(t)
    for pid in (d.pid, d.worker):
        for n, to in proc.links(pid).items():
            if n < 3:
                continue
            fields = proc.fields(f'/proc/{pid}/fdinfo/{n}')
            flags = int(fields['flags'].strip(), 8)
            assert flags & os.O_CLOEXEC, f'{n} ({to}) is not close-on-exec'


def test_each_worker_accepts(t):
    d = Daemon(t, {'workers': 4, 'listeners': [conf.listener()]})
    listening = proc.listening(d.address)
    assert len(listening) == 4, f'{len(listening)} sockets for 4 workers'
    same(listening - proc.polled(d.worker), set())


@each(signal.SIGPIPE, signal.SIGUSR1, signal.SIGCONT, signal.SIGWINCH)
def test_other_signals_do_not_end_it(t, signo):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        for _ in range(20):
            d.signal(signo)
            proc.kill(d.worker, signo=signo)
            assert echoes(s)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


@each(signal.SIGHUP, signal.SIGUSR2)
def test_what_is_for_the_master_means_nothing_to_a_generation(t, signo):
    d = Daemon(t)
    o = Origin(t, echo)
    worker = d.worker
    with tunnel(d.address, o.target) as s:
        for _ in range(20):
            proc.kill(worker, signo=signo)
            assert echoes(s)
    same(d.worker, worker)
    same(len(d.generations()), 1)


def test_stopped_and_continued_it_goes_on(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        proc.kill(d.worker, signo=signal.SIGSTOP)
        eventually(lambda: proc.status(d.worker)['State'][0] == 'T')
        s.sendall(b'asleep')
        time.sleep(0.2)
        proc.kill(d.worker, signo=signal.SIGCONT)
        same(client.read_exact(s, 6), b'asleep')


def test_standard_error_that_nobody_reads_blocks_nothing(t):
    reader, writer = os.pipe()
    o = Origin(t, echo)
    d = Daemon(t, {'listeners': [conf.listener(
        address=['127.0.0.1:0'])]}, wait=False,
        wrap=['sh', '-c', f'exec "$@" 2>&{writer}', 'sh'],
        pass_fds=(writer,))
    os.close(writer)
    text = b''
    while b'ready' not in text or not text.endswith(b'\n'):
        text += os.read(reader, 4096)
    line = next(x for x in text.decode().split('\n') if 'ready' in x)
    d.addresses = parse_ready(line)
    d.base = d.descriptors()
    # Far more lines than the pipe takes: the tunnels must not notice.
    for _ in range(1000):
        with tunnel(d.address, o.target, seconds=patient(5)) as s:
            assert echoes(s)
    d.signal(signal.SIGINT)
    time.sleep(0.1)
    os.set_blocking(reader, False)
    end = time.monotonic() + patient(5)
    while d.process.poll() is None and time.monotonic() < end:
        try:
            os.read(reader, 1 << 20)
        except BlockingIOError:
            time.sleep(0.01)
    os.close(reader)
    d.wait_exit(0)
