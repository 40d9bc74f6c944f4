"""Keys of TLS tickets, as a generation gets them from and tells its master."""
import contextlib
import ctypes
import os
import socket
import time

from lib import handoff
from lib.case import each, patient, same
from lib.tls import Certificate
from test_tls_listener import served, wrapped

KEYS, KEYS_BEFORE = 8, 74

LIBC = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438  # of all architectures


@each(b'', b'what is no key', b'STK1' + b'\xff' * 400)
def test_keys_that_make_no_sense_are_not_taken(t, keys):
    """As of another version; clients begin anew, and that is all."""
    g = handoff.Generation(t, {**handoff.NO_CONTROL, **served(Certificate(t))})
    g.until(handoff.PREPARED)
    g.send(KEYS_BEFORE, keys)
    g.send(handoff.GO)
    g.until(handoff.ACCEPTING)
    g.wait_log('TLS clients cannot resume what they began before')
    data = g.control.recv(1 << 16)
    same((data[4], len(data)), (KEYS, handoff.HEAD.size + 8 + 88))
    wrapped(g).close()
    g.send(handoff.HALT)
    g.wait_exit()


def descriptor_of(pid, number):
    """The same socket of another process, as a number of ours."""
    process = os.pidfd_open(pid)
    got = LIBC.syscall(PIDFD_GETFD, process, number, 0)
    os.close(process)
    assert got >= 0, os.strerror(ctypes.get_errno())
    return got


def test_keys_for_which_there_is_no_room_are_told_later(t):
    """The queue to the master takes one message more, and that is not it."""
    g = handoff.Generation(t, {**handoff.NO_CONTROL, **served(Certificate(t))})
    g.until(handoff.PREPARED)
    # Of the size of what it will say, so that one makes room for one.
    junk = bytes(handoff.HEAD.size)
    with socket.socket(fileno=descriptor_of(g.pid, handoff.FIRST_FD)) as theirs:
        with contextlib.suppress(BlockingIOError):
            while True:
                theirs.send(junk, socket.MSG_DONTWAIT)
    same(g.control.recv(1 << 16), junk)
    g.send(handoff.GO)
    time.sleep(patient(0.3))  # it tries at once, and once a second
    told = []
    g.control.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            told.append(g.control.recv(1 << 16)[4])
    g.control.settimeout(patient(20))
    same([word for word in told if word], [handoff.ACCEPTING])
    same(g.control.recv(1 << 16)[4], KEYS)
    g.send(handoff.HALT)
    g.wait_exit()
