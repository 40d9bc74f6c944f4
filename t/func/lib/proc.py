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


def listening_by_table():
    """What listens here, (inode, address in the table's form) each."""
    for name in ('tcp', 'tcp6'):
        with open(f'/proc/thread-self/net/{name}', encoding='ascii') as f:
            next(f)
            for line in f:
                part = line.split()
                if part[3] != '0A':
                    break  # they come first; others may be many thousands
                yield int(part[9]), part[1]


# sock_diag(7), which looks at nothing but what listens.  For the table the
# kernel walks through the places of all connections that there could be.
SOCK_DIAG, BY_FAMILY, DUMP, LISTEN = 4, 20, 0x301, 1 << 10
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSG = struct.Struct('=IHHII')
DIAG = struct.Struct('=BBBB2s2s16s16sI8sIIIII')


def listening_by_diag():
    """The same; OSError where the kernel cannot."""
    for family, size in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                           SOCK_DIAG) as s:
            ask = struct.pack('=BBBBI48x', family, socket.IPPROTO_TCP, 0, 0,
                              LISTEN)
            s.send(NLMSG.pack(NLMSG.size + len(ask), BY_FAMILY, DUMP, 0, 0) +
                   ask)
            kind = 0
            while kind != NLMSG_DONE:
                data = s.recv(1 << 16)
                while data:
                    length, kind, *_ = NLMSG.unpack_from(data)
                    if kind == NLMSG_ERROR:
                        raise OSError('no sock_diag')
                    if kind == BY_FAMILY:
                        f = DIAG.unpack_from(data, NLMSG.size)
                        host = socket.inet_ntop(family, f[6][:size])
                        yield f[14], table_form(host, *struct.unpack(
                            '>H', f[4]))
                    data = data[length + 3 & ~3:]


def listening(address=None):
    """Inodes of the TCP sockets that listen in this thread's network.

    On one address: its port alone may be another test's on another host.
    """
    wanted = address and table_form(*address)
    try:
        found = list(listening_by_diag())
    except OSError:
        found = listening_by_table()
    return {inode for inode, at in found if wanted in (None, at)}


def unix_sockets(path):
    """How many there are of a path: who listens, and for each client one."""
    with open('/proc/thread-self/net/unix', encoding='utf-8') as f:
        return sum(line.rstrip('\n').endswith(' ' + path) for line in f)


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
