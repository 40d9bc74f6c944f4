"""What the kernel says of a process: descriptors, memory, CPU, rights."""
import collections
import os
import re
import signal
import socket
import struct


def threads(pid):
    return [int(n) for n in os.listdir(f'/proc/{pid}/task')]


def links(pid):
    """What a process has open: {descriptor: where it leads}."""
    found = {}
    for n in os.listdir(f'/proc/{pid}/fd'):
        try:
            found[int(n)] = os.readlink(f'/proc/{pid}/fd/{n}')
        except OSError:
            continue
    return found


def descriptors(pid):
    """How many sockets, pipe ends and others a process has open."""
    count = collections.Counter(socket=0, pipe=0, other=0)
    for to in links(pid).values():
        kind = to.split(':')[0]
        count[kind if kind in ('socket', 'pipe') else 'other'] += 1
    return count


def fields(path):
    """A file of `Name: value` lines as a dict."""
    with open(path, encoding='ascii', errors='replace') as f:
        return dict(line.rstrip().split(':', 1) for line in f if ':' in line)


def memory(pid):
    """Bytes in memory, without what is given back but not yet taken."""
    m = fields(f'/proc/{pid}/smaps_rollup')
    kib = int(m['Rss'].split()[0]) - int(m['LazyFree'].split()[0])
    return kib * 1024


def cpu(pid):
    """Seconds of CPU time that a process has used, all its threads."""
    total = 0
    for tid in threads(pid):
        try:
            with open(f'/proc/{pid}/task/{tid}/schedstat',
                      encoding='ascii') as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def status(pid, tid=None):
    return {k: v.strip() for k, v in
            fields(f'/proc/{pid}/task/{tid or pid}/status').items()}


def alive(pid):
    try:
        return status(pid)['State'][0] not in 'ZX'
    except (OSError, KeyError):
        return False


# --- families ---------------------------------------------------------------

def stat(pid):
    """The fields of /proc/PID/stat from the state on, or None."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8',
                  errors='replace') as f:
            return f.read().rpartition(')')[2].split()
    except OSError:
        return None


def processes():
    """The fields of every process that lives, by its number."""
    found = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            f = stat(int(name))
            if f and f[0] not in 'ZX':
                found[int(name)] = f
    return found


def children(pid):
    """The children of a process, the youngest last."""
    found = [(int(f[19]), p) for p, f in processes().items()
             if int(f[1]) == pid]
    return [p for _, p in sorted(found)]


def cmdline(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return f.read().decode('utf-8', 'replace').split('\0')[:-1]
    except OSError:
        return []


def running(command):
    """Processes of our group that were started by exactly this command."""
    group = os.getpgrp()
    return [p for p, f in processes().items()
            if int(f[2]) == group and cmdline(p) == command]


def kill(*pids, signo=signal.SIGKILL):
    """Sends them a signal; those that are gone are no error."""
    for pid in pids:
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            pass


# --- listening sockets ------------------------------------------------------

INODE = re.compile(r'socket:\[(\d+)\]')


def table_form(host, port):
    """An address as /proc/net/tcp and tcp6 write it: words of the host."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f'={len(packed) // 4}I', packed)
    return ''.join(f'{w:08X}' for w in words) + f':{port:04X}'


def listening(pid, address=None):
    """Inodes of the TCP sockets that listen in the namespace of `pid`.

    On one address: its port alone may be another test's on another host.
    """
    found = set()
    wanted = address and table_form(*address)
    for name in ('tcp', 'tcp6'):
        with open(f'/proc/{pid}/net/{name}', encoding='ascii') as f:
            next(f)
            for line in f:
                part = line.split()
                if part[3] != '0A':
                    break  # they come first; others may be many thousands
                if wanted in (None, part[1]):
                    found.add(int(part[9]))
    return found


def sockets(pid):
    """The inodes of the sockets that a process holds, by descriptor."""
    return {n: int(m[1]) for n, to in links(pid).items()
            if (m := INODE.match(to))}


def polled(pid):
    """Inodes of the sockets that some epoll set of a process holds."""
    found = set()
    try:
        open_now = links(pid)
    except FileNotFoundError:  # it has ended
        return found
    held = {n: int(m[1]) for n, to in open_now.items()
            if (m := INODE.match(to))}
    for n, to in open_now.items():
        if to != 'anon_inode:[eventpoll]':
            continue
        try:
            with open(f'/proc/{pid}/fdinfo/{n}', encoding='ascii') as f:
                text = f.read()
        except OSError:
            continue
        for tfd in re.findall(r'(?m)^tfd:\s*(\d+)', text):
            if int(tfd) in held:
                found.add(held[int(tfd)])
    return found
