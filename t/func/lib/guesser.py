"""Guesses passwords, as fast as told: a program of its own.

    guesser.py HOST PORT SECONDS RATE SOURCES

Each guess is a connection from the next of SOURCES addresses of 127.0.0.0/8
that says all it has to say at once.  Prints how many guesses began, and how
many were answered, as JSON.
"""
import errno
import json
import selectors
import socket
import struct
import sys
import time

OPEN_MAX = 4000


class Guesser:
    def __init__(self, address, rate, sources):
        self.address = address
        self.rate = rate
        self.sources = sources
        self.begun = self.refused = self.lost = self.let_in = 0
        self.open = selectors.DefaultSelector()

    def begin(self):
        number = self.begun % self.sources
        s = socket.socket()
        s.setblocking(False)
        s.bind((f'127.{1 + number // 65536}.{number // 256 % 256}.'
                f'{number % 256}', 0))
        wrong = b'guess%d' % self.begun
        said = b'\5\1\2\1\5alice' + bytes([len(wrong)]) + wrong
        self.begun += 1
        if s.connect_ex(self.address) not in (0, errno.EINPROGRESS):
            s.close()
            self.lost += 1
            return
        self.open.register(s, selectors.EVENT_WRITE, [said, b''])

    def go_on(self, s, state):
        try:
            if state[0]:
                s.send(state[0])
                state[0] = b''
                self.open.modify(s, selectors.EVENT_READ, state)
                return
            got = s.recv(100)
        except OSError:
            got = b''
        state[1] += got
        if got and len(state[1]) < 4:
            return
        self.open.unregister(s)
        s.close()
        self.refused += state[1] == b'\5\2\1\1'
        self.let_in += state[1] == b'\5\2\1\0'
        self.lost += len(state[1]) < 4

    def run(self, seconds):
        start = time.monotonic()
        while (now := time.monotonic() - start) < seconds:
            due = min(int(now * self.rate) - self.begun, 50)
            for _ in range(due if len(self.open.get_map()) < OPEN_MAX else 0):
                self.begin()
            for key, _ in self.open.select(0.002):
                self.go_on(key.fileobj, key.data)
        # In order they would be waited for.
        for key in list(self.open.get_map().values()):
            key.fileobj.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack('ii', 1, 0))
            key.fileobj.close()


def main():
    host, port, seconds, rate, sources = sys.argv[1:]
    g = Guesser((host, int(port)), float(rate), int(sources))
    print(flush=True)
    g.run(float(seconds))
    json.dump({'begun': g.begun, 'refused': g.refused, 'let_in': g.let_in,
               'lost': g.lost}, sys.stdout)


if __name__ == '__main__':
    main()
