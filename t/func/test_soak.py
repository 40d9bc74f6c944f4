"""Everything at once for a while: nothing fails, nothing grows."""
import random
import socket
import threading
import time

from lib import client
from lib.case import (alone, eventually, measured, patient, same, slow,
                      timeout)
from lib.client import (dial, noise, read_all, read_exact, read_to_end,
                        reset, tunnel)
from lib.daemon import Daemon
from lib.origin import Origin, echo

SECONDS = 60
THREADS = 12
MIB = 1 << 20


class Load:
    """Threads that do what clients do, in an order of their own."""

    def __init__(self, d, targets):
        self.d, self.targets = d, targets
        self.failed = []
        self.done = 0
        self.until = 0

    def run(self, seconds):
        self.until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.one, args=(n,), daemon=True)
                   for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + patient(30))
            assert not thread.is_alive(), 'a client hangs'
        assert not self.failed, self.failed[:3]

    def one(self, n):
        rng = random.Random(n)
        ways = (self.talk, self.bulk, self.half, self.cut, self.refused,
                self.rubbish, self.early)
        try:
            while time.monotonic() < self.until and not self.failed:
                rng.choice(ways)(rng)
                self.done += 1
        except Exception as e:
            self.failed.append(e)

    def open(self, rng):
        return tunnel(self.d.address, rng.choice(self.targets),
                      rng.choice(client.PROTOCOLS), seconds=20)

    def talk(self, rng):
        with self.open(rng) as s:
            for _ in range(rng.randint(1, 50)):
                assert client.echoes(s, noise(rng.randint(1, 3000)))

    def bulk(self, rng):
        data = noise(rng.randint(1, 2 * MIB), rng.random())
        with self.open(rng) as s:
            sender = threading.Thread(target=s.sendall, args=(data,),
                                      daemon=True)
            sender.start()
            assert read_exact(s, len(data)) == data
            sender.join()

    def half(self, rng):
        data = noise(rng.randint(1, 50000))
        with self.open(rng) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            assert read_all(s) == data

    def cut(self, rng):
        s = self.open(rng)
        s.sendall(noise(rng.randint(1, 50000)))
        reset(s)

    def refused(self, rng):
        s, code = client.ask(self.d.address, ('127.0.0.1', 1),
                             rng.choice(client.PROTOCOLS), seconds=20)
        with s:
            assert code in (client.REFUSED, 502), code

    def rubbish(self, rng):
        with dial(self.d.address, 20) as s:
            s.sendall(b'\x16' + rng.randbytes(rng.randint(1, 300)))
            same(read_to_end(s)[0], b'')

    def early(self, rng):
        data = noise(rng.randint(1, 30000))
        protocol = rng.choice(client.PROTOCOLS)
        with dial(self.d.address, 20) as s:
            s.sendall(client.request(protocol, rng.choice(self.targets)) +
                      data)
            assert client.take_reply(s, protocol) in (0, 200)
            assert read_exact(s, len(data)) == data


@slow
@alone
@timeout(3 * SECONDS)
def test_a_minute_of_everything_leaves_nothing_behind(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    o, o6 = Origin(t, echo), Origin(t, echo, host='::1')
    load = Load(d, [o.target, o6.target, ('target.example', o.port)])
    load.run(SECONDS / 3)
    d.wait_rest(30)
    time.sleep(2)
    before = d.memory()
    load.run(SECONDS * 2 / 3)
    d.wait_rest(30)
    eventually(lambda: d.memory() - before < measured(2 * MIB),
               said=lambda: f'{d.memory() - before} bytes more in memory')
    d.wait_access(load.done, 30)
    print(f'{load.done} things done')
