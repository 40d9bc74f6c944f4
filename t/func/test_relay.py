"""What an established tunnel must keep: every byte, every end, both ways.

Most tests run for each way in which a relay moves bytes.
"""
import socket
import threading
import time

from lib import client, conf
from lib.case import (SLOWNESS, each, eventually, fewer, long, measured,
                      patient, same, still, timeout, valgrind)
from lib.client import (dial, echoes, noise, read_all, read_exact,
                        read_to_end, reset, tunnel, unsent)
from lib.daemon import Daemon
from lib.origin import (Listener, Origin, both_ways, checksum, echo, say,
                        send_bulk, take_bulk)

MODES = ('copy', 'splice', 'adaptive')
modes = each(*MODES)

SMALL = 16384  # a receive buffer that fills at once
MIB = 1 << 20


def start(t, mode, **changes):
    debug = conf.relay(mode) if mode != 'adaptive' else {}
    return Daemon(t, {**debug, **changes} or None)


def pair(d, listener, protocol='socks5', **options):
    """Both ends of a new tunnel: the client's and the origin's."""
    near = tunnel(d.address, listener.target, protocol, **options)
    return near, listener.accept()


# --- ends -------------------------------------------------------------------

@modes
@valgrind
@timeout(60)
def test_100_bytes_and_close_at_once_arrive(t, mode):
    d = start(t, mode)
    text = noise(100)
    o = Origin(t, say(text))
    count = fewer(200)
    for i in range(count):
        protocol = client.PROTOCOLS[i % 2]
        with tunnel(d.address, o.target, protocol) as s:
            assert read_to_end(s) == (text, 'eof'), i
    d.wait_access(count, outcome='closed', down=100)


@modes
@timeout(60)
def test_100_bytes_and_close_at_once_leave(t, mode):
    d = start(t, mode)
    text = noise(100)
    o = Listener(t)
    for i in range(fewer(200)):
        with dial(d.address) as s:
            s.sendall(client.request('socks5', o.target) + text)
            s.shutdown(socket.SHUT_WR)
            with o.accept() as far:
                assert read_to_end(far) == (text, 'eof'), i


@modes
@valgrind
def test_the_client_may_end_first(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    with near, far:
        near.sendall(b'question')
        near.shutdown(socket.SHUT_WR)
        same(read_all(far), b'question')
        for _ in range(5):
            far.sendall(noise(20000))
            same(read_exact(near, 20000), noise(20000))
        far.close()
        same(near.recv(1), b'')
    line = d.wait_access(outcome='closed')
    assert (line['up'], line['down']) == ('8', '100000'), line


@modes
@valgrind
def test_the_target_may_end_first(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    with near, far:
        far.sendall(b'banner')
        far.shutdown(socket.SHUT_WR)
        same(read_all(near), b'banner')
        for _ in range(5):
            near.sendall(noise(20000))
            same(read_exact(far, 20000), noise(20000))
        near.close()
        same(far.recv(1), b'')
    line = d.wait_access(outcome='closed')
    assert (line['up'], line['down']) == ('100000', '6'), line


@modes
def test_a_reset_by_the_client_reaches_the_target(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    with far:
        assert not near.send(b'') and not client.unsent(near)
        near.sendall(b'x')
        same(far.recv(1), b'x')
        reset(near)
        same(read_to_end(far), (b'', 'reset'))
    d.wait_access(outcome='client-reset')


@modes
def test_a_reset_by_the_target_reaches_the_client(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    with near:
        near.sendall(b'x')
        same(far.recv(1), b'x')
        reset(far)
        same(read_to_end(near), (b'', 'reset'))
    d.wait_access(outcome='target-reset')


@modes
def test_a_reset_is_no_end_even_after_a_half_close(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    with near:
        near.shutdown(socket.SHUT_WR)
        same(read_all(far), b'')
        far.sendall(b'some, but not all')
        same(read_exact(near, 17), b'some, but not all')
        reset(far)
        same(read_to_end(near), (b'', 'reset'))
    d.wait_access(outcome='target-reset')


@modes
@timeout(60)
@valgrind
def test_what_came_before_a_reset_arrives_first(t, mode):
    d = start(t, mode)
    o = Listener(t)
    near, far = pair(d, o, receive=SMALL)
    whole = noise(4 * MIB)
    done = []

    def send_and_reset():
        far.sendall(whole)
        eventually(lambda: unsent(far) == 0, 30, 'the proxy has it all')
        reset(far)
        done.append(True)

    thread = threading.Thread(target=send_and_reset, daemon=True)
    thread.start()
    time.sleep(0.5)  # everything that can be full is full
    got = bytearray()
    how = 'eof'
    with near:
        try:
            while data := near.recv(65536):
                got += data
                time.sleep(0.002)
        except ConnectionResetError:
            how = 'reset'
    thread.join(patient(5))
    assert done, 'the origin could not send'
    assert len(got) == len(whole) and got == whole, len(got)
    assert how == 'reset', 'a cut transfer looks like a whole one'


@modes
@timeout(60)
def test_what_came_before_a_clients_reset_arrives_first(t, mode):
    d = start(t, mode)
    o = Listener(t, receive=SMALL)
    near, far = pair(d, o)
    whole = noise(4 * MIB)

    def send_and_reset():
        near.sendall(whole)
        eventually(lambda: unsent(near) == 0, 30, 'the proxy has it all')
        reset(near)

    threading.Thread(target=send_and_reset, daemon=True).start()
    time.sleep(0.5)
    got = bytearray()
    with far:
        try:
            while data := far.recv(65536):
                got += data
                time.sleep(0.002)
            how = 'eof'
        except ConnectionResetError:
            how = 'reset'
    assert got == whole, len(got)
    same(how, 'reset')


# --- beginnings -------------------------------------------------------------

@modes
@valgrind
def test_early_data_goes_before_the_reply(t, mode):
    d = start(t, mode)
    o = Listener(t)
    early = noise(40000)
    for protocol in client.PROTOCOLS:
        with dial(d.address) as s:
            s.sendall(client.request(protocol, o.target) + early)
            with o.accept() as far:
                same(read_exact(far, len(early)), early)
                assert client.take_reply(s, protocol) in (0, 200)
                far.sendall(b'answer')
                same(read_exact(s, 6), b'answer')
                s.sendall(b'more')
                same(read_exact(far, 4), b'more')


@modes
def test_early_data_while_we_connect_is_kept(t, mode):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = start(t, mode, names={'hosts': hosts})
    o = Origin(t, echo)
    early = noise(300000)
    with dial(d.address) as s:
        s.sendall(client.request('http', ('target.example', o.port)))
        sender = threading.Thread(target=s.sendall, args=(early,))
        sender.start()
        same(client.take_reply(s, 'http'), 200)
        same(read_exact(s, len(early)), early)
        sender.join()


@modes
def test_a_target_that_speaks_first_is_heard(t, mode):
    d = start(t, mode)
    o = Origin(t, say(b'220 welcome\r\n'))
    for protocol in client.PROTOCOLS * 20:
        with tunnel(d.address, o.target, protocol) as s:
            same(read_all(s), b'220 welcome\r\n')


# --- the way through --------------------------------------------------------

@modes
@valgrind
def test_small_messages_go_back_and_forth(t, mode):
    d = start(t, mode)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        for i in range(fewer(2000)):
            assert echoes(s, b'%064d' % i)


@modes
def test_messages_of_every_size_go_back_and_forth(t, mode):
    d = start(t, mode)
    o = Origin(t, echo)
    sizes = [1, 2, 1000, 4095, 4096, 4097, 32767, 32768, 65535, 65536, 65537,
             131072, 262143, 262144, 262145, 1 << 20, 1, 100, 300000, 7]
    with tunnel(d.address, o.target) as s:
        for size in sizes * 3:
            data = noise(size, size)
            sender = threading.Thread(target=s.sendall, args=(data,))
            sender.start()
            assert read_exact(s, size) == data, size
            sender.join()


@modes
@timeout(120)
def test_100_mib_both_ways_at_once_arrive_whole(t, mode):
    d = start(t, mode)
    o = Listener(t)
    near, far = pair(d, o)
    mib = 100 if SLOWNESS == 1 else 30
    failed = []

    def origin():
        try:
            with far:
                both_ways(far, mib, 2, 1)
        except Exception as e:
            failed.append(e)

    thread = threading.Thread(target=origin, daemon=True)
    thread.start()
    with near:
        both_ways(near, mib, 1, 2)
        thread.join(patient(30))
    assert not failed, failed
    line = d.wait_access(outcome='closed')
    assert int(line['up']) == int(line['down']) == mib * MIB, line


@modes
@timeout(60)
def test_an_urgent_byte_amid_9_mib_stops_nothing(t, mode):
    d = start(t, mode)
    first, second = noise(9 * MIB // 2, 1), noise(9 * MIB // 2, 2)
    for upward in (False, True):
        near, far = pair(d, Listener(t))
        sender, receiver = (near, far) if upward else (far, near)

        def send(s=sender):
            s.sendall(first)
            s.send(b'!', socket.MSG_OOB)
            s.sendall(second)
            s.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        with near, far:
            got = read_all(receiver)
        # The byte itself may come in its place or not at all.
        assert got in (first + second, first + b'!' + second), len(got)


@modes
@timeout(60)
def test_urgent_bytes_all_the_time_stop_nothing(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t))
    piece = bytes(50000)

    def send():
        for _ in range(60):
            far.sendall(piece)
            far.send(b'!', socket.MSG_OOB)
        far.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    with near, far:
        got = read_all(near)
    assert len(got.replace(b'!', b'')) == 60 * 50000, len(got)


# --- those that do not read -------------------------------------------------

@modes
@still
@timeout(90)
def test_a_client_that_stops_reading_loses_nothing(t, mode):
    d = start(t, mode)
    o = Listener(t)
    mib = 100 if SLOWNESS == 1 else 30
    with tunnel(d.address, o.target) as warm_up, o.accept() as far:
        threading.Thread(target=send_bulk, args=(far, 8, 0),
                         daemon=True).start()
        take_bulk(warm_up, 8)
    near, far = pair(d, o)
    before = d.memory()
    with near, far:
        threading.Thread(target=send_bulk, args=(far, mib, 3),
                         daemon=True).start()
        time.sleep(0.5)
        used = d.cpu()
        time.sleep(2)
        used = d.cpu() - used
        during = d.memory()
        assert take_bulk(near, mib) == checksum(mib, 3), 'bytes differ'
    grown = max(during, d.memory()) - before
    assert grown < measured(4 * MIB), f'{grown} bytes more in memory'
    assert used < measured(0.1), f'{used} s of CPU for a stalled tunnel'


@modes
@timeout(60)
def test_a_slow_reader_gets_all(t, mode):
    d = start(t, mode)
    near, far = pair(d, Listener(t), receive=SMALL)
    whole = noise(3 * MIB)

    def send():
        far.sendall(whole)
        far.close()

    threading.Thread(target=send, daemon=True).start()
    got = bytearray()
    with near:
        while data := near.recv(8192):
            got += data
            time.sleep(0.001)
    assert got == whole, len(got)


@modes
@timeout(60)
def test_stalled_tunnels_in_number_lose_nothing(t, mode):
    # More of them than there are pipes or buffers to keep bytes in.
    d = start(t, mode, workers=1, limits={'buffers': '1M', 'pipes': 8})
    o = Listener(t)
    count = 40
    pairs = [pair(d, o, receive=SMALL) for _ in range(count)]
    wholes = [noise(5 * MIB // 2, i) for i in range(count)]
    senders = []
    for (_, far), whole in zip(pairs, wholes):
        def send(s=far, w=whole):
            s.sendall(w)
            s.shutdown(socket.SHUT_WR)
        senders.append(threading.Thread(target=send, daemon=True))
        senders[-1].start()
    time.sleep(1)
    # Another tunnel must not wait for them.
    other, end = pair(d, o)
    with other, end:
        for i in range(20):
            other.sendall(b'%04d' % i)
            same(read_exact(end, 4), b'%04d' % i)
    failed = []

    def take(i):
        near, _ = pairs[i]
        got = read_all(near)
        if got != wholes[i]:
            failed.append((i, len(got)))

    readers = [threading.Thread(target=take, args=(i,), daemon=True)
               for i in range(count)]
    for r in readers:
        r.start()
    for r in readers:
        r.join(patient(50))
        assert not r.is_alive(), 'it still reads'
    assert not failed, failed


# --- time -------------------------------------------------------------------

@modes
def test_a_half_closed_download_that_flows_may_last(t, mode):
    d = start(t, mode, timeouts={'half_closed': '1s'})
    near, far = pair(d, Listener(t))
    with near, far:
        near.sendall(b'send me all')
        near.shutdown(socket.SHUT_WR)
        same(read_all(far), b'send me all')
        sent = b''
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            piece = noise(3000, len(sent))
            far.sendall(piece)
            sent += piece
            time.sleep(0.1)
        far.close()
        same(read_all(near), sent)
    d.wait_access(outcome='closed', down=len(sent))


@modes
def test_a_half_closed_tunnel_without_progress_ends(t, mode):
    d = start(t, mode, timeouts={'half_closed': '1s'})
    near, far = pair(d, Listener(t))
    with near, far:
        begun = time.monotonic()
        near.shutdown(socket.SHUT_WR)
        same(read_all(far), b'')
        read_to_end(near)
        assert time.monotonic() - begun > 0.8
    d.wait_access(outcome='half-closed')


def test_an_idle_tunnel_ends(t):
    d = Daemon(t, {'timeouts': {'idle': '1s'}})
    near, far = pair(d, Listener(t))
    with near, far:
        begun = time.monotonic()
        read_to_end(near)
        read_to_end(far)
        assert 0.8 < time.monotonic() - begun < patient(5)
    d.wait_access(outcome='idle')


@long
def test_a_tunnel_with_traffic_is_not_idle(t):
    d = Daemon(t, {'timeouts': {'idle': '2s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        for _ in range(10):
            time.sleep(0.4)
            assert echoes(s)
    d.wait_access(outcome='closed')


@long
def test_traffic_one_way_is_traffic(t):
    d = Daemon(t, {'timeouts': {'idle': '2s'}})
    near, far = pair(d, Listener(t))
    with near, far:
        for _ in range(10):
            time.sleep(0.4)
            far.sendall(b'tick')
            same(read_exact(near, 4), b'tick')
    d.wait_access(outcome='closed')


def test_a_session_lasts_as_long_as_it_may(t):
    d = Daemon(t, {'timeouts': {'session': '2s'}})
    o = Origin(t, echo)
    begun = time.monotonic()
    with tunnel(d.address, o.target) as s:
        try:
            while time.monotonic() - begun < patient(10):
                assert echoes(s)
                time.sleep(0.05)
            raise AssertionError('it goes on')
        except (EOFError, ConnectionError):
            assert time.monotonic() - begun > 1.5
    d.wait_access(outcome='expired')


@still
def test_idle_tunnels_cost_no_time(t):
    d = Daemon(t)
    o = Listener(t)
    pairs = [pair(d, o) for _ in range(200)]
    time.sleep(0.5)
    used = d.cpu()
    time.sleep(2)
    used = d.cpu() - used
    assert used < measured(0.02), f'{used} s of CPU in 2 s'
    for near, far in pairs:
        near.close()
        far.close()
