"""What the kernel says of a process: descriptors, memory, CPU, rights."""
import collections
import os


def threads(pid):
    return [int(n) for n in os.listdir(f'/proc/{pid}/task')]


def descriptors(pid):
    """How many sockets, pipe ends and others a process has open."""
    count = collections.Counter(socket=0, pipe=0, other=0)
    for n in os.listdir(f'/proc/{pid}/fd'):
        try:
            to = os.readlink(f'/proc/{pid}/fd/{n}')
        except OSError:
            continue
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
    except OSError:
        return False
