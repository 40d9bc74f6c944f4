"""splicedctl and the control socket, with a daemon that serves."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from lib import client, proc
from lib.case import Skip, each, eventually, patient, same, slow, timeout
from lib.client import dial, echoes, noise, tunnel
from lib.control import Control
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer
from lib.origin import Listener, Origin, Silent, echo
from lib.serving import refused

VERSION = r'\d+\.\d+\S*'


def listed(d, *filters):
    """The sessions that splicedctl lists, as dicts."""
    done = d.control.run('--json', 'sessions', *filters)
    same((done.returncode, done.err), (0, ''))
    return [json.loads(line) for line in done.out.splitlines()]


def rows(d, *filters):
    """The lines of its table as lists of words, without the heads."""
    done = d.control.run('sessions', *filters)
    same((done.returncode, done.err), (0, ''))
    return [line.split() for line in done.out.splitlines()[1:]]


def names_of(server):
    # One try, so that a question which nobody answers soon ends.
    soon = f'{int(patient(2))}s'
    return {'names': {'servers': [server.address], 'timeout': soon,
                      'tries': 1}, 'timeouts': {'name': soon}}


def name_of(s):
    return client.authority(*s.getsockname()[:2])


def fails(done, status, pattern):
    assert done.returncode == status, \
        f'exit status {done.returncode}: {done.out}{done.err}'
    assert re.search(pattern, done.err), f'{pattern!r}: {done.err!r}'


# --- status -----------------------------------------------------------------

def test_the_status_is_for_people(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s, noise(3000))
    d.wait_access()
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        # The first one's line may come a moment before its end is counted.
        eventually(lambda: d.control.status()['connections']['active'] == 1)
        done = d.control.run('status')
    same((done.returncode, done.err), (0, ''))
    for pattern in (r'state +serving', rf'version +{VERSION}',
                    rf'pid +{d.pid}', r'uptime +\d+s',
                    r'generation +1, 1 alive',
                    rf'addresses +{re.escape(name_at(d.address))} ',
                    r'connections +1 now: 0 in a handshake, 1 tunnels',
                    r'accepted +2, and 0 rejected',
                    r'sessions +1 ended, 2\.9k up, 2\.9k down',
                    r'reloads +0, and 0 failed', r'crashes +0'):
        assert re.search(rf'(?m)^{pattern}', done.out), \
            f'{pattern!r}: {done.out}'
    assert 'last reload' not in done.out, done.out


def name_at(address):
    return client.authority(*address)


def test_the_status_is_for_programs(t):
    d = Daemon(t)
    done = d.control.run('--json', 'status')
    same((done.returncode, done.err), (0, ''))
    j = json.loads(done.out)
    same((j['done'], j['ok'], j['protocol']), (True, True, 1))
    same((j['state'], j['pid'], j['generation']), ('serving', d.pid, 1))
    same(sorted(j['addresses']), sorted(map(name_at, d.addresses)))
    same(j['reloads'], {'ok': 0, 'failed': 0, 'last': None})
    assert 0 <= j['uptime_s'] < patient(60), j


def test_totals_outlive_generations(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for _ in range(2):
        with tunnel(d.address, o.target) as s:
            assert echoes(s, noise(1000))
        d.wait_rest()
        d.reload()
        d.wait_alone()
    d.wait_access(2)
    totals = d.control.status()['totals']
    same((totals['accepted'], totals['sessions']), (2, 2))
    same((totals['bytes_up'], totals['bytes_down']), (2000, 2000))


def test_generations_are_listed(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        first = d.worker
        d.reload()
        done = d.control.run('generations')
        same((done.returncode, done.err), (0, ''))
        heads, old, new = done.out.splitlines()
        same(heads.split()[:4], ['GENERATION', 'PID', 'STATE', 'AGE'])
        same(old.split()[:3], ['1', str(first), 'draining'])
        same(old.split()[4:7], ['1', '1', '1'])  # active, tunnels, accepted
        same(new.split()[:3], ['2', str(d.worker), 'serving'])
        assert new.endswith(d.conf_path), new
        assert echoes(s)


def test_a_generation_that_hangs_is_looked_at_all_the_same(t):
    d = Daemon(t, {'timeouts': {'watchdog': '0'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        worker = d.worker
        os.kill(worker, signal.SIGSTOP)
        try:
            same(d.control.run('status').returncode, 0)
            same(d.control.run('generations').returncode, 0)
            same(len(listed(d)), 1)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert echoes(s)


# --- sessions ---------------------------------------------------------------

def test_sessions_say_what_the_access_log_will(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    o = Origin(t, echo)
    with tunnel(d.address, ('target.example', o.port)) as s:
        assert echoes(s, noise(12345))
        found = eventually(lambda: listed(d, 'bytes>24689'), 5)
        same(len(found), 1)
        me = name_of(s)
    line = d.wait_access(client=me)
    j = found[0]
    for key in ('client', 'listener', 'protocol', 'command', 'target',
                'address', 'bound'):
        same(j[key], line[key])
    for key in ('client_rule', 'rule'):
        same(j.get(key), line.get(key))
    same((j['up'], j['down']), (12345, 12345))
    same((j['state'], j['generation']), ('tunnel', 1))
    assert re.fullmatch(r'1\.\d+\.\d+', j['id']), j
    assert 0 <= j['idle_ms'] <= j['age_ms'] < patient(60000), j


def test_sessions_are_a_table(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target, 'http') as s:
        assert echoes(s)
        heads = d.control.run('sessions').out.splitlines()[0].split()
        same(heads, ['ID', 'CLIENT', 'LISTENER', 'PROTOCOL', 'STATE',
                     'TARGET', 'UP', 'DOWN', 'AGE', 'IDLE', 'RULE',
                     'UPSTREAM'])
        row, = rows(d)
        same(row[1:6], [name_of(s), 'lan', 'http', 'tunnel',
                        name_at(o.target)])
    d.wait_access()
    eventually(lambda: rows(d) == [])


def test_sessions_on_their_way_have_a_state(t):
    names = DnsServer(t, {('slow.example', 'A'): SILENT,
                          ('slow.example', 'AAAA'): SILENT})
    d = Daemon(t, names_of(names))
    far = Silent(t)
    with dial(d.address) as greeting, dial(d.address) as name, \
            dial(d.address) as connect:
        greeting.sendall(b'\5')
        name.sendall(client.request('http', ('slow.example', 80)))
        connect.sendall(client.request('http', far.target))
        for s, state in ((greeting, 'handshake'), (name, 'name'),
                         (connect, 'connect')):
            found = eventually(lambda w=state: listed(d, f'state={w}'), 5)
            same([j['client'] for j in found], [name_of(s)])
        same(listed(d, 'state=name')[0]['target'], 'slow.example:80')
        same(len(listed(d)), 3)
        row, = rows(d, 'state=handshake')
        same(row[5], '-')


def tunnel_of(d, o, generation):
    """A tunnel of that generation: the older one takes what was queued."""
    def attempt():
        s = tunnel(d.address, o.target)
        if any(j['client'] == name_of(s) for j in
               listed(d, f'generation={generation}')):
            return s
        s.close()
        return None
    return eventually(attempt)


def test_sessions_of_older_generations_are_listed(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as old:
        assert echoes(old)
        d.reload()
        with tunnel_of(d, o, 2) as new:
            assert echoes(old) and echoes(new)
            found = {j['client']: j for j in listed(d)}
            same(found[name_of(old)]['generation'], 1)
            same(found[name_of(new)]['generation'], 2)
            assert name_of(new) not in str(listed(d, 'generation=1'))
            same(len({j['id'] for j in found.values()}), len(found))


def test_filters_choose(t):
    hosts = t.file('hosts', '127.0.0.1 a.example b.a.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    o = Origin(t, echo)
    with tunnel(d.address, ('a.example', o.port)) as a, \
            tunnel(d.address, ('b.a.example', o.port), 'http') as b, \
            tunnel(d.address, o.target, 'http') as c:
        assert echoes(a, noise(200000)) and echoes(b) and echoes(c)
        eventually(lambda: listed(d, 'up>100k'), 5)

        def chosen(*filters):
            clients = [j['client'] for j in listed(d, *filters)]
            return ''.join(n for n, s in (('a', a), ('b', b), ('c', c))
                           if name_of(s) in clients)
        for filters, want in (
                ((), 'abc'), (('host=a.example',), 'a'),
                (('host=.a.example',), 'ab'), (('host=.A.Example',), 'ab'),
                (('host=127.0.0.0/8',), 'abc'), (('protocol=http',), 'bc'),
                (('protocol=http', 'host=.a.example'), 'b'),
                (('client=127.0.0.1',), 'abc'), (('client=10.0.0.0/8',), ''),
                (('listener=lan',), 'abc'), (('listener=edge',), ''),
                (('up>100k',), 'a'), (('up<100k',), 'bc'),
                (('age>1h',), ''), (('age<1h', 'idle<1h'), 'abc'),
                (('state=tunnel',), 'abc'), (('generation=2',), '')):
            assert chosen(*filters) == want, filters


def test_names_of_clients_cannot_reach_the_terminal(t):
    # Only names that are none at all are refused before they are looked up.
    long = b'x' * 60 + b'.' + b'y' * 60 + b'.' + b'z' * 60 + b'.example'
    names = DnsServer(t, {(long.decode(), 'A'): SILENT,
                          (long.decode(), 'AAAA'): SILENT})
    d = Daemon(t, names_of(names))
    with dial(d.address) as s:
        s.sendall(client.request('http', (long.decode(), 80)))
        found = eventually(lambda: listed(d, 'state=name'), 5)
        same(found[0]['target'], f'{long.decode()}:80')
        out = d.control.run('sessions').out
        assert f'{long.decode()}:80' in out, out
        assert not re.search(r'[^\n -~]', out), out


def test_many_sessions_are_listed(t):
    d = Daemon(t)
    o = Origin(t, echo)
    some = [tunnel(d.address, o.target) for _ in range(300)]
    try:
        same(len(rows(d)), 300)
        found = listed(d)
        same({j['client'] for j in found}, {name_of(s) for s in some})
        same(len({j['id'] for j in found}), 300)
    finally:
        for s in some:
            s.close()


def test_looking_costs_the_daemon_no_memory(t):
    d = Daemon(t, {'limits': {'connections': 100000}})
    before = segment_blocks(d)
    for _ in range(3):
        same(listed(d), [])
    # The first page of each worker's slots, of 25 MB.
    page = os.sysconf('SC_PAGE_SIZE') // 512
    assert segment_blocks(d) <= before + 2 * page, segment_blocks(d)


def segment_blocks(d):
    """What the shared memory of a daemon takes, in blocks of 512 bytes."""
    for n, to in proc.links(d.pid).items():
        if 'memfd:spliced' in to:
            return os.stat(f'/proc/{d.pid}/fd/{n}').st_blocks
    raise AssertionError(f'no segment in {proc.links(d.pid)}')


# --- reload -----------------------------------------------------------------

def test_a_reload_is_waited_for(t):
    d = Daemon(t)
    done = d.control.run('reload', '--wait')
    same((done.returncode, done.err), (0, ''))
    assert re.fullmatch(r'generation 2 serves, after \d+ ms\n', done.out), \
        done.out
    same(d.control.status()['generation'], 2)
    assert re.search(r'(?m)^last reload +generation 2, after \d+ ms$',
                     d.control.run('status').out)


def test_a_bad_file_is_told_of_in_full(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        d.write(text='wrong = 1;\nworse = 2;\n')
        done = d.control.run('reload', '--wait')
        fails(done, 1, r"(?s):1: .*'wrong'.*:2: .*'worse'")
        assert 'generation 1 goes on' in done.err, done.err
        same(done.out, '')
        assert echoes(s)
        with tunnel(d.address, o.target) as new:
            assert echoes(new)
    status = d.control.status()
    same((status['generation'], status['reloads']['failed']), (1, 1))
    same(status['reloads']['last']['ok'], False)
    assert 'wrong' in status['reloads']['last']['error'], status
    assert re.search(r'(?m)^last reload +failed: .*wrong',
                     d.control.run('status').out)


def test_a_reload_for_programs(t):
    d = Daemon(t)
    done = d.control.run('--json', 'reload', '--wait')
    j = json.loads(done.out)
    same((done.returncode, j['ok'], j['generation']), (0, True, 2))
    d.write(text='wrong = 1;\n')
    done = d.control.run('--json', 'reload', '--wait')
    j = json.loads(done.out)
    same((done.returncode, j['ok'], j['generation']), (1, False, 2))
    assert 'wrong' in j['error'] and 'wrong' in done.err, done.err


def test_a_reload_need_not_be_waited_for(t):
    d = Daemon(t)
    done = d.control.run('reload')
    same((done.returncode, done.out), (0, 'the reload has begun\n'))
    eventually(lambda: d.control.status()['generation'] == 2)


def test_reloads_at_once_are_all_answered(t):
    d = Daemon(t, {'limits': {'generations': 64}})
    many = [t.start(os.path.join(t.build, 'splicedctl'), '--socket',
                    d.control.path, 'reload', '--wait',
                    stdout=subprocess.PIPE) for _ in range(12)]
    served = set()
    for p in many:
        out = p.communicate(timeout=patient(20))[0].decode()
        same(p.returncode, 0)
        served.add(int(re.match(r'generation (\d+) serves', out)[1]))
    assert 1 not in served and len(served) <= 12, served
    same(d.control.status()['generation'], max(served))


# --- drain ------------------------------------------------------------------

def test_a_drain_ends_the_daemon_after_its_sessions(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        done = d.control.run('drain')
        same((done.returncode, done.out),
             (0, 'the daemon ends when its last session has\n'))
        eventually(lambda: refused(d.address))
        same(d.control.status()['state'], 'stopping')
        same(len(listed(d)), 1)
        fails(d.control.run('reload', '--wait'), 1, 'ends')
        assert echoes(s)
    d.wait_exit(0)
    fails(d.control.run('status'), 3, 'no daemon listens at')


# --- nobody, strangers, crowds ----------------------------------------------

def test_without_a_daemon_it_says_so(t):
    c = Control(t, t.path('nobody'))
    for words in (['status'], ['sessions'], ['reload', '--wait']):
        fails(c.run(*words), 3, f'no daemon listens at {c.path}')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind(c.path)
        fails(c.run('status'), 3, 'no daemon listens at')
        s.listen(1)
        t.defer(os.unlink, c.path)
    fails(c.run('status'), 3, 'no daemon listens at')


def test_a_daemon_that_dies_meanwhile(t):
    d = Daemon(t)
    os.kill(d.pid, signal.SIGSTOP)
    p = t.start(os.path.join(t.build, 'splicedctl'), '--socket',
                d.control.path, 'reload', '--wait', stderr=subprocess.PIPE)
    # It has asked: it has a connection, and waits.
    eventually(lambda: proc.unix_sockets(d.control.path) == 2 and
               proc.status(p.pid)['State'][0] == 'S')
    d.kill()
    err = p.communicate(timeout=patient(20))[1].decode()
    same(p.returncode, 3)
    assert 'went away' in err, err


def test_strangers_may_not_connect(t):
    if os.geteuid() != 0:
        raise Skip('only root can become somebody else')
    d = Daemon(t)
    same(os.stat(d.control.path).st_mode & 0o7777, 0o660)
    folder = t.folder('bin')
    program = shutil.copy(os.path.join(t.build, 'splicedctl'), folder)
    os.chmod(t.dir, 0o755)

    def become_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    done = subprocess.run([program, '--socket', d.control.path, 'status'],
                          capture_output=True, check=False,
                          preexec_fn=become_nobody)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    if 'loading shared libraries' in done.err:
        raise Skip('nobody cannot run it')
    fails(done, 3, 'Permission denied .be root, or a member of its group')


def test_hung_clients_do_not_stop_others(t):
    d = Daemon(t)
    hung = [d.control.connect() for _ in range(31)]
    for s in hung[:16]:
        s.sendall(b'statu')
    try:
        same(d.control.run('status').returncode, 0)
        hung.append(d.control.connect())
        fails(d.control.run('status'), 1, 'too many clients')
        o = Origin(t, echo)
        with tunnel(d.address, o.target) as s:
            assert echoes(s)
        hung.pop().close()
        eventually(lambda: d.control.run('status').returncode == 0)
    finally:
        for s in hung:
            s.close()
    eventually(lambda: d.control.run('reload', '--wait').returncode == 0)


@slow
@timeout(60)
def test_hung_clients_are_closed(t):
    d = Daemon(t)
    silent, partly = d.control.connect(20), d.control.connect(20)
    with silent, partly:
        partly.sendall(b'status')
        same((silent.recv(1), partly.recv(1)), (b'', b''))


@each(b'status\0\n', b'x' * 600 + b'\n', b'\n', b'stop\n', b'status now\n')
def test_what_is_no_request_is_answered(t, request):
    d = Daemon(t)
    with d.control.connect() as s:
        s.sendall(request)
        j = json.loads(client.read_to_end(s)[0])
    same((j['done'], j['ok']), (True, False))
    assert j['error'], j
    same(d.control.status()['state'], 'serving')


# --- the program itself -----------------------------------------------------

def test_versions(t):
    d = Daemon(t)
    assert re.fullmatch(rf'spliced {VERSION}\n',
                        d.control.run('version').out)
    done = d.control.run('--version')
    assert re.fullmatch(rf'splicedctl {VERSION}\n', done.out), done.out
    same(json.loads(d.control.run('version', '-j').out)['protocol'], 1)


def test_help_names_every_command(t):
    done = Control(t, '/nonexistent').run('--help')
    same((done.returncode, done.err), (0, ''))
    for word in ('status', 'generations', 'sessions', 'reload', 'drain',
                 'version', 'client', 'idle'):
        assert re.search(rf'(?m)^  {word}\b', done.out), word


@each((), ('stats',), ('status', 'now'), ('status', '--wait'), ('--nonsense',),
      ('sessions', 'nonsense'), ('sessions', 'age>5'),
      ('sessions', 'clint=10.0.0.1'))
def test_a_wrong_command_line_is_status_2(t, words):
    done = Control(t, '/nonexistent').run(*words)
    fails(done, 2, r'splicedctl: ')
    same(done.out, '')


def test_the_environment_names_the_socket(t):
    d = Daemon(t)
    program = os.path.join(t.build, 'splicedctl')
    done = t.run(program, 'status',
                 env={**os.environ, 'SPLICED_SOCKET': d.control.path})
    same(done.returncode, 0)


def test_a_full_disk_is_noticed(t):
    d = Daemon(t)
    o = Listener(t)
    program = os.path.join(t.build, 'splicedctl')
    with tunnel(d.address, o.target), o.accept():
        for words in (['status'], ['generations'], ['sessions'],
                      ['--json', 'sessions'], ['--json', 'status']):
            with open('/dev/full', 'wb') as full:
                done = subprocess.run(
                    [program, '-s', d.control.path, *words], stdout=full,
                    stderr=subprocess.PIPE, check=False)
            same(done.returncode, 1)
            assert b'No space left' in done.stderr, done.stderr
