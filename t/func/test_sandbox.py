"""What a generation can do, and what one that was broken into could not.

A debugger plays the one who broke in: it has the generation's own threads
make calls.
"""
import os
import re
import signal
import sys

from lib import proc
from lib.case import SANITIZED, Skip, each, eventually, same, timeout, tool
from lib.client import echoes, tunnel
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import Origin, echo, unused_port

EPERM, EACCES = 1, 13
AF_INET, AF_PACKET, AF_UNIX = 2, 17, 1
STREAM, RAW = 1, 3


def confined(t, changes=None):
    """A daemon that is, and its origin."""
    d = Daemon(t, changes)
    if SANITIZED or re.search('not confined: this is', d.log()):
        raise Skip('this build is not confined')
    return d, Origin(t, echo)


def serves(d, o):
    with tunnel(d.address, o.target) as s:
        return echoes(s)


def rights(pid):
    """What the kernel says of every thread of a process, once each."""
    return {(s['Seccomp'], s['NoNewPrivs'], s['CapEff'], s['CapPrm'],
             s['CapAmb']) for tid in proc.threads(pid)
            for s in [proc.status(pid, tid)]}


NONE = '0' * 16
CONFINED = {('2', '1', NONE, NONE, NONE)}


def landlock(d):
    """Whether the kernel confines files (1) and ports (4)."""
    text = d.log()
    if 'no Landlock' in text:
        return 0
    found = re.search(r'Landlock (\d+) of this kernel', text)
    return int(found[1]) if found else 6


def test_all_threads_of_a_generation_are_confined(t):
    d, o = confined(t, {'workers': 3})
    assert serves(d, o)
    assert len(proc.threads(d.worker)) >= 5  # main, log and three workers
    same(rights(d.worker), CONFINED)
    # Nobody can name another thread from there: each does it itself.
    same({proc.status(d.worker, tid)['Name'] for tid in
          proc.threads(d.worker)},
         {'spliced', 'log', 'worker/0', 'worker/1', 'worker/2'})
    # The master is not: layers would pile up over its life.
    same(proc.status(d.pid)['Seccomp'], '0')


def test_no_core_is_written(t):
    d, _ = confined(t)
    with open(f'/proc/{d.worker}/limits', encoding='ascii') as f:
        line = [s for s in f if s.startswith('Max core file size')][0]
    same(line.split()[4:6], ['0', '0'])


def test_sandbox_off_is_for_finding_faults(t):
    d = Daemon(t, {'sandbox': 'off'})
    assert serves(d, Origin(t, echo))
    d.wait_log('not confined.*sandbox = "off"')
    for found in rights(d.worker):
        same(found, ('0', '1', NONE, NONE, NONE))


@timeout(120)
def test_twenty_reloads_in_a_row(t):
    d, o = confined(t)
    for number in range(2, 22):
        d.reload()
        same(rights(d.worker), CONFINED)
        assert serves(d, o)
    same(d.serving()['generation'], number)
    assert 'cannot be confined' not in d.log()


# --- a debugger inside ------------------------------------------------------

def octal(*values):
    return ''.join(f'\\{v:03o}' for v in values)


def address_of(port):
    """A struct sockaddr_in of 127.0.0.1, as gdb writes strings."""
    return '"' + octal(*AF_INET.to_bytes(2, sys.byteorder),
                       *port.to_bytes(2, 'big'), 127, 0, 0, 1) + \
        octal(*[0] * 8) + '"'


def inside(t, pid, *calls):
    """Has every thread make calls (name, arguments); a list for each of
    (result, errno), one a thread.
    """
    if os.geteuid() != 0:
        raise Skip('a debugger needs root here')
    lines = ['set pagination off', 'set scheduler-locking on',
             f'set $fd = ((int(*)())socket)({AF_INET}, {STREAM}, 0)']
    for number, (name, arguments) in enumerate(calls):
        lines.append(f'thread apply all -q printf "call {number}: %d %d\\n", '
                     f'((int(*)()){name})({arguments}), '
                     '*((int *(*)())__errno_location)()')
    script = t.file('gdb.commands', '\n'.join(lines) +
                    '\nprint ((int(*)())close)($fd)\ndetach\n')
    done = t.run(tool('gdb', 'gdb'), '-nx', '-q', '-batch',
                 '-iex', 'set auto-load off',
                 '-iex', 'set debuginfod enabled off',
                 '-p', str(pid), '-x', script, seconds=60)
    text = (done.stdout + done.stderr).decode('utf-8', 'replace')
    t.file('gdb.log', text)
    if 'ptrace: Operation not permitted' in text:
        raise Skip('this machine lets nobody debug')
    return [[(int(r), int(e)) for r, e in
             re.findall(rf'(?m)^call {number}: (-?\d+) (\d+)$', text)]
            for number in range(len(calls))], text


def worth_trying(t, d):
    """Calls that must fail, with what the kernel must have for that."""
    mine = t.folder('mine', 'nobody')
    secret = t.file('mine/secret', 'secret', 0o666)
    other = unused_port()
    return [
        (0, 'execve', '"/bin/true", 0, 0'),
        (0, 'fork', ''),
        (0, 'kill', f'{d.pid}, 0'),
        (0, 'ptrace', f'16, {d.pid}, 0, 0'),
        (0, 'chroot', '"/"'),
        (0, 'prctl', '4, 1, 0, 0, 0'),  # PR_SET_DUMPABLE
        (0, 'unlink', f'"{secret}"'),
        (0, 'rename', f'"{secret}", "{secret}.new"'),
        (0, 'truncate', f'"{secret}", 0'),
        (0, 'symlink', f'"{secret}", "{mine}/link"'),
        (0, 'mkdir', f'"{mine}/folder", 0777'),
        (0, 'open', f'"{secret}", 2'),
        (0, 'open', f'"{mine}/new", 0101, 0600'),
        (0, 'open', '"/etc/shadow", 0'),
        (0, 'socket', f'{AF_PACKET}, {RAW}, 0'),
        (0, 'socket', f'{AF_UNIX}, {STREAM}, 0'),
        (0, 'mprotect', '(long)$sp & ~4095, 4096, 7'),
        (1, 'open', f'"{secret}", 0'),
        (1, 'open', f'"{secret}", 02001'),
        (1, 'open', '"/proc/self/maps", 0'),
        (4, 'bind', f'$fd, {address_of(80)}, 16'),
        (4, 'bind', f'$fd, {address_of(other)}, 16'),
    ]


@each('any port', 'a range')
@timeout(120)
def test_who_broke_in_gets_nowhere(t, bind_ports):
    d, o = confined(t, {
        'timeouts': {'watchdog': '0'},
        'outbound': {'bind_ports': 'any' if 'any' in bind_ports
                     else '61200-61209'}})
    tries = [c for c in worth_trying(t, d) if c[0] <= landlock(d)]
    threads = len(proc.threads(d.worker))
    found, text = inside(t, d.worker, *[c[1:] for c in tries])
    for (_, *call), results in zip(tries, found):
        assert len(results) == threads, f'{call}: {results}\n{text}'
        for result, error in results:
            assert result == -1 and error in (EPERM, EACCES), \
                f'{call} gave {results}'
    assert serves(d, o)
    same(rights(d.worker), CONFINED)


@timeout(120)
def test_a_debugger_can_tell(t):
    """What the test above relies on: without a sandbox calls succeed."""
    if SANITIZED:
        raise Skip('what a debugger passes to a call counts as leaked')
    d = Daemon(t, {'sandbox': 'off', 'timeouts': {'watchdog': '0'}})
    mine = t.folder('mine', 'nobody')
    secret = t.file('mine/secret', 'secret', 0o666)
    found, text = inside(
        t, d.worker, ('open', f'"{secret}", 0'),
        ('open', f'"{mine}/new", 0101, 0600'),
        ('kill', f'{d.worker}, 0'), ('socket', f'{AF_UNIX}, {STREAM}, 0'))
    for results in found:
        assert results, text
        for result, _ in results:
            assert result >= 0, text
    assert os.path.exists(mine + '/new')
    d.base = None  # what was opened stays open


# --- what may go on ---------------------------------------------------------

def test_the_log_is_rotated(t):
    folder = t.folder('log', 'nobody')
    path = os.path.join(folder, 'spliced.log')
    d, o = confined(t, {'log': {'target': 'file:' + path}})
    assert serves(d, o)
    for number in range(3):
        os.rename(path, f'{path}.{number}')
        d.signal(signal.SIGUSR1)
        eventually(lambda: os.path.exists(path), said='a new log')
        assert serves(d, o)
    d.wait_access(outcome='closed')
    assert 'cannot open the log' not in d.log()


def replace(path, text):
    with open(path + '.new', 'w', encoding='ascii') as f:
        f.write(text)
    os.rename(path + '.new', path)


def reaches(d, host, port):
    try:
        with tunnel(d.address, (host, port)) as s:
            return echoes(s)
    except Exception:  # not yet
        return False


def test_a_hosts_file_that_was_renamed_over_is_read(t):
    hosts = t.file('hosts', '127.0.0.1 one.example\n')
    server = DnsServer(t)
    d, o = confined(t, {'names': {'hosts': hosts, 'negative_ttl': '0',
                                  'servers': [server.address],
                                  'cache_entries': 0}})
    assert reaches(d, 'one.example', o.port)
    for name in ('two.example', 'three.example'):
        replace(hosts, f'127.0.0.1 {name}\n')
        eventually(lambda n=name: reaches(d, n, o.port), said=name)


@each('file', 'link')
def test_a_resolv_conf_that_was_renamed_over_is_read(t, kind):
    server = DnsServer(t, {(name, kind): a(*ip) for name in
                           ('alpha.one.test', 'beta.two.test',
                            'gamma.three.test')
                           for kind, ip in (('A', ['127.0.0.1']),
                                            ('AAAA', []))})
    conf = t.path('resolv.conf')
    real = conf
    if kind == 'link':  # as systemd-resolved does it
        real = os.path.join(t.folder('run'), 'stub-resolv.conf')
        os.symlink('run/stub-resolv.conf', conf)
    replace(real, 'search one.test\n')
    d, o = confined(t, {'names': {'resolv_conf': conf, 'hosts': '',
                                  'servers': [server.address],
                                  'cache_entries': 0}})
    assert reaches(d, 'alpha', o.port)
    for name, domain in (('beta', 'two.test'), ('gamma', 'three.test')):
        replace(real, f'search {domain}\n')
        eventually(lambda n=name: reaches(d, n, o.port), 20, name)
