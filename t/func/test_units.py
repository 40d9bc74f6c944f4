"""The units that are installed: sockets, rights, folders, journal."""
import os
import pwd
import re
import resource
import signal
import time

from lib import client, conf, proc, under_unit
from lib.box import (ADDRESS, SOCKET, Service, listening, socket_unit,
                     unit_text)
from lib.case import (Skip, alone, eventually, same, slow, timeout,
                      tool)
from lib.client import dial, echoes, tunnel
from lib.origin import Origin, echo

CAP_NET_BIND_SERVICE = 1 << 10


def serves(o, address=ADDRESS):
    with tunnel(address, o.target) as s:
        return echoes(s)


# --- How exposed they are ---------------------------------------------------

def exposure(t, *names):
    """What systemd-analyze makes of a unit and its drop-ins, times ten."""
    path = t.file('spliced.service', ''.join(map(unit_text, names)))
    text = t.run(tool('systemd-analyze', 'systemd'), 'security',
                 '--offline=true', '--no-pager', path).stdout.decode()
    m = re.search(r'Overall exposure level.*: (\d+)\.(\d)', text)
    if not m:
        raise Skip('this systemd-analyze cannot look at files')
    return int(m[1] + m[2]), text


def test_the_service_is_hardly_exposed(t):
    tenths, text = exposure(t, 'spliced.service')
    assert tenths <= 11, text


def test_the_helper_is_less_exposed(t):
    tenths, text = exposure(t, 'spliced-pam.service')
    assert tenths <= 7, text


def test_with_a_capability_it_is_little_more_exposed(t):
    tenths, text = exposure(t, 'spliced.service', 'capabilities.conf')
    assert tenths <= 16, text


def test_systemd_understands_every_line(t):
    s = Service(t, start=False)
    s.box.write('/etc/systemd/system/spliced.service.d/capabilities.conf',
                unit_text('capabilities.conf'))
    # The manuals are not installed here, and not the matter.
    done = s.box.run('systemd-analyze', 'verify', '--man=no', s.unit, SOCKET)
    wrong = [x for x in done.out.splitlines() if 'spliced' in x]
    same(wrong, [])


def test_the_exposure_counts_for_what_runs_too(t):
    s = Service(t)
    text = s.box.run('systemd-analyze', 'security', '--no-pager', s.unit).out
    m = re.search(r'Overall exposure level.*: (\d+)\.(\d)', text)
    assert int(m[1] + m[2]) <= 11, text


# --- What they may do -------------------------------------------------------

def mounts(pid):
    """The mount options that a process sees, by folder."""
    with open(f'/proc/{pid}/mountinfo', encoding='utf-8') as f:
        rows = [line.split() for line in f]
    return {r[4]: ','.join([r[5], r[-1]]).split(',') for r in rows}


def limits(pid):
    with open(f'/proc/{pid}/limits', encoding='ascii') as f:
        return {line[:26].strip(): line[26:].split()[:2] for line in f}


def owner(path):
    st = os.stat(path)
    return st.st_uid, st.st_gid, st.st_mode & 0o7777


def spliced(s):
    """The user's number, which the box has given out."""
    for line in s.box.read('/etc/passwd').splitlines():
        if line.startswith('spliced:'):
            return int(line.split(':')[2])
    raise AssertionError('there is no user "spliced"')


def test_its_processes_have_no_rights(t):
    s = Service(t)
    uid = str(spliced(s))
    for pid in [s.main(), s.generation()]:
        for tid in proc.threads(pid):
            status = proc.status(pid, tid)
            same(set(status['Uid'].split()), {uid})
            for name in ('CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb'):
                same(int(status[name], 16), 0)
            same(status['NoNewPrivs'], '1')
            same(status['Seccomp'], '2')
        seen = mounts(pid)
        assert 'ro' in seen['/'], seen['/']
        # New kernels say "subset", all of them hide who is not ours.
        hidden = [o for o in seen['/proc'] if o.startswith(('hide', 'subset'))]
        assert len(hidden) == 2, seen['/proc']
        for folder in ('/home', '/root'):
            assert folder in seen and 'ro' in seen[folder], sorted(seen)
        assert os.readlink(f'/proc/{pid}/ns/user') != \
            os.readlink(f'/proc/{s.box.first}/ns/user')
        same(limits(pid)['Max core file size'], ['0', '0'])
        # As many as asked for, or as the machine allows.
        most = min(524288, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        same(set(limits(pid)['Max open files']), {str(most)})
        for path in ('/proc/sys', '/proc/meminfo'):
            assert not os.path.exists(f'/proc/{pid}/root{path}'), path
    # A generation has filters of its own beside those of the unit.
    count = [int(proc.status(pid).get('Seccomp_filters', 0))
             for pid in (s.main(), s.generation())]
    assert count[1] > count[0] or count == [0, 0], count


def test_it_writes_only_where_it_should(t):
    s = Service(t)
    # What the unit leaves to any program of it.
    script = ('for d in / /etc /etc/spliced /usr /var /var/lib /run /home '
              '/root /boot /srv /dev /sys /proc; do '
              'touch $d/spliced-test 2>/dev/null && echo "$d"; done; '
              'for d in /tmp /var/tmp /run/spliced /var/log/spliced; do '
              'touch $d/spliced-test || echo "not $d"; done; exit 0')
    s.drop_in('try.conf', '[Service]\nExecStartPre=/bin/sh -c '
              f"'({script}) >/run/spliced/tried 2>&1'\n")
    s.restart()
    same(s.box.read('/run/spliced/tried'), '')
    assert not os.path.exists(s.box.path('/tmp/spliced-test'))


TRIES = '''
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.valloc.restype = ctypes.c_void_p
libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
def tell(name, result, refusal=None):
    if result >= 0 or refusal and ctypes.get_errno() != refusal:
        print(name)
tell("memfd_create", libc.memfd_create(b"x", 0))
tell("sched_setaffinity", libc.sched_setaffinity(0, 8, b"\\1" + bytes(7)))
tell("personality", libc.personality(0x0040000))
tell("PROT_EXEC", libc.mprotect(libc.valloc(4096), 4096, 7))
tell("S_ISUID", libc.chmod(b"/tmp/try", 0o4755))
tell("SCHED_FIFO", libc.sched_setscheduler(0, 1, bytes(4)), 1)
tell("AF_PACKET", libc.socket(17, 3, 0), 97)
tell("ptrace", libc.ptrace(0, 0, 0, 0))
tell("CLONE_NEWUSER", libc.unshare(0x10000000))
'''


def test_what_the_unit_forbids_to_any_program_of_it(t):
    s = Service(t, start=False)
    s.box.write('/etc/spliced/try.py', TRIES)
    script = ('touch /tmp/try; chmod 755 /tmp/try; '
              '/usr/bin/python3 -B /etc/spliced/try.py 2>&1')
    # What its user could do without the unit.
    done = s.box.run('setpriv', '--reuid=spliced', '--regid=spliced',
                     '--clear-groups', 'sh', '-c', script, check=False)
    if 'No module named' in done.out:
        raise Skip('the python3 in the box is not complete')
    assert len(done.out.split()) >= 7, done.out
    s.drop_in('try.conf', '[Service]\nExecStartPre=/bin/sh -c '
              f"'({script}) >/run/spliced/tried'\n")
    s.box.systemctl('start', s.unit)
    # The list is not too short either.
    same(s.box.read('/run/spliced/tried').split(), ['memfd_create'])


def test_a_low_port_needs_the_drop_in(t):
    low = {'listeners': [conf.listener(address=['127.0.0.1:443'])]}
    s = Service(t, low, start=False)
    assert s.box.systemctl('start', s.unit, check=False).returncode
    s.wait_state('failed')
    s.wait_message('CAP_NET_BIND_SERVICE')
    s.drop_in('capabilities.conf', unit_text('capabilities.conf'))
    s.box.systemctl('start', s.unit)
    o = Origin(t, echo)
    assert serves(o, ('127.0.0.1', 443))
    # The first process needs it for the next generation, this one no more.
    same(int(proc.status(s.main())['CapEff'], 16), CAP_NET_BIND_SERVICE)
    for tid in proc.threads(s.generation()):
        same(int(proc.status(s.generation(), tid)['CapPrm'], 16), 0)
    s.configure({'listeners': [conf.listener(
        address=['127.0.0.1:443', '127.0.0.1:80'])]})
    s.reload()
    assert serves(o, ('127.0.0.1', 80))


# --- Ports from socket units ------------------------------------------------

def test_the_first_client_waits_until_it_is_ready(t):
    s = Service(t, {'listeners': [conf.listener(
        address=['0.0.0.0:1080', '[::]:1080'])]}, start=False)
    # Starting takes a while here.
    s.drop_in('slow.conf', '[Service]\nExecStartPre=/bin/sleep 2\n')
    s.box.systemctl('start', SOCKET)
    same(s.show()['ActiveState'], 'inactive')
    sockets = listening(1080)
    same(len(sockets), 2)
    o = Origin(t, echo)
    early = [dial(a, 20) for a in (ADDRESS, ('::1', 1080)) for _ in range(10)]
    for c in early:
        c.sendall(client.request('socks5', o.target) + b'hello')
    time.sleep(0.3)
    assert s.show()['ActiveState'] != 'active'
    for c in early:
        with c:
            same(client.take_reply(c, 'socks5'), 0)
            same(client.read_exact(c, 5), b'hello')
    p = s.wait_state('active')
    # systemd holds these already.
    same(p['NFileDescriptorStore'], '0')
    same(listening(1080), sockets)


def test_ports_stay_while_the_service_comes_and_goes(t):
    s = Service(t, start=False)
    socket_unit(s, SOCKET, 'FileDescriptorName=lan',
                'ListenStream=127.0.0.1:1080')
    s.box.systemctl('start', SOCKET)
    o = Origin(t, echo)
    sockets = listening(1080)
    assert serves(o)
    s.wait_state('active')
    for _ in range(3):
        s.restart()
        assert serves(o)
        s.reload()
        assert serves(o)
    same(listening(1080), sockets)
    generation = s.generation()
    os.kill(s.main(), signal.SIGKILL)
    eventually(lambda: not proc.alive(generation))
    assert serves(o)
    s.wait_state('active')
    s.stop()
    same(listening(1080), sockets)
    assert serves(o)
    s.wait_state('active')


def test_sockets_of_several_units_go_to_their_listeners(t):
    http = conf.listener(name='web', address=['127.0.0.1:443'],
                         protocols=['http'])
    s = Service(t, {'listeners': [
        conf.listener(address=['127.0.0.1:1080']), http]}, start=False)
    socket_unit(s, SOCKET, 'FileDescriptorName=lan',
                'ListenStream=127.0.0.1:1080')
    socket_unit(s, 'spliced-web.socket', 'FileDescriptorName=web',
                'ListenStream=127.0.0.1:443', service=True)
    s.box.systemctl('start', SOCKET, 'spliced-web.socket')
    o = Origin(t, echo)
    # A port below 1024, without any right to open it.
    with tunnel(('127.0.0.1', 443), o.target, 'http') as c:
        assert echoes(c)
    same(int(proc.status(s.main())['CapBnd'], 16), 0)
    assert serves(o)
    with dial(('127.0.0.1', 443)) as c:
        c.sendall(client.request('socks5', o.target))
        assert client.read_to_end(c)[0][:2] != b'\5\0'
    s.wait_message(r'listener=web')
    s.wait_message(r'listener=lan')


def test_ports_of_both_kinds_live_side_by_side(t):
    s = Service(t, {'listeners': [conf.listener(
        address=['127.0.0.1:1080', '127.0.0.1:1081'])]}, start=False)
    socket_unit(s, SOCKET, 'FileDescriptorName=lan',
                'ListenStream=127.0.0.1:1080')
    s.box.systemctl('start', SOCKET)
    s.box.systemctl('start', s.unit)
    o = Origin(t, echo)
    both = listening(1080) + listening(1081)
    for again in (s.reload, s.restart, s.reload):
        for port in (1080, 1081):
            assert serves(o, ('127.0.0.1', port))
        again()
    same(listening(1080) + listening(1081), both)


def test_a_wrong_file_fails_where_a_client_starts_it_too(t):
    s = Service(t, start=False)
    s.configure(text='nonsense')
    s.box.systemctl('start', SOCKET)
    with dial(ADDRESS) as c:
        # systemd tries ten times, then lets nobody wait any more.
        client.read_to_end(c)
    same(s.wait_state('failed')['Result'], 'exit-code')
    same(s.box.show(SOCKET)['Result'], 'trigger-limit-hit')
    same(listening(1080), [])
    s.configure({'listeners': [conf.listener(
        address=['0.0.0.0:1080', '[::]:1080'])]})
    time.sleep(5)  # for so long the tries are counted
    s.box.systemctl('start', SOCKET)
    assert serves(Origin(t, echo))


# --- Folders, users, control ------------------------------------------------

def test_its_folders_are_its_own(t):
    s = Service(t, {'log': {'target': 'file:/var/log/spliced/spliced.log',
                            'level': 'info', 'access': 'logfmt'}})
    uid = spliced(s)
    log = s.box.path('/var/log/spliced/spliced.log')
    same(owner(s.box.path('/run/spliced')), (uid, uid, 0o755))
    same(owner(s.box.path('/run/spliced/control')), (uid, uid, 0o660))
    same(owner(s.box.path('/var/log/spliced')), (uid, uid, 0o750))
    eventually(lambda: os.path.exists(log))
    same(owner(log), (uid, uid, 0o640))
    o = Origin(t, echo)
    assert serves(o)
    eventually(lambda: 'outcome=' in s.box.read('/var/log/spliced/spliced.log'))
    # As logrotate does it.
    os.rename(log, log + '.1')
    s.box.systemctl('kill', '--kill-who=main', '--signal=USR1', s.unit)
    eventually(lambda: os.path.exists(log))
    assert serves(o)
    eventually(lambda: 'outcome=' in s.box.read('/var/log/spliced/spliced.log'))


def test_folders_for_other_starts_do_not_disturb(t):
    s = Service(t, start=False)
    s.box.run('systemd-tmpfiles', '--create',
              '/usr/lib/tmpfiles.d/spliced.conf')
    uid = spliced(s)
    same(owner(s.box.path('/run/spliced')), (uid, uid, 0o755))
    same(owner(s.box.path('/var/log/spliced')), (uid, uid, 0o750))
    s.box.systemctl('start', s.unit)
    assert serves(Origin(t, echo))


def test_who_may_use_the_control_socket(t):
    s = Service(t)
    assert 'serving' in s.ctl('status').out
    s.box.run('setpriv', '--reuid=nobody', '--regid=spliced',
              '--clear-groups', 'splicedctl', 'status')
    nobody = pwd.getpwnam('nobody')
    done = s.box.run('setpriv', f'--reuid={nobody.pw_uid}',
                     f'--regid={nobody.pw_gid}', '--clear-groups',
                     'splicedctl', 'status', check=False)
    assert done.returncode, done.out


# --- The journal ------------------------------------------------------------

def test_the_journal_has_what_is_logged(t):
    s = Service(t)
    assert serves(Origin(t, echo))
    s.wait_message(r'\baccess\b.*outcome=')
    entry = next(e for e in s.box.journal(s.unit)
                 if 'outcome=' in str(e['MESSAGE']))
    same((entry['SYSLOG_IDENTIFIER'], entry['_SYSTEMD_UNIT']),
         ('spliced', 'spliced.service'))


def test_the_journal_has_fields(t):
    s = Service(t, {'log': {'target': 'journal', 'level': 'info',
                            'access': 'logfmt'}})
    assert serves(Origin(t, echo))
    s.wait_message(r'outcome=')
    entry = next(e for e in s.box.journal(s.unit)
                 if 'outcome=' in str(e['MESSAGE']))
    same((entry['_TRANSPORT'], entry['PRIORITY']), ('journal', '6'))
    same((entry['SPLICED_LISTENER'], entry['SPLICED_OUTCOME']),
         ('lan', 'closed'))
    same((entry['SYSLOG_IDENTIFIER'], entry['_SYSTEMD_UNIT']),
         ('spliced', 'spliced.service'))


def test_the_journal_takes_a_line_for_each_session(t):
    s = Service(t)
    p = s.show()
    same((p['LogRateLimitIntervalUSec'], p['OOMPolicy']), ('0', 'continue'))


# --- systemd 253 and newer --------------------------------------------------

def test_reload_by_signal_and_answer(t):
    s = Service(t, start=False)
    if s.box.version() < 253:
        raise Skip('Type=notify-reload needs systemd 253')
    s.drop_in('notify-reload.conf', unit_text('notify-reload.conf'))
    s.box.systemctl('start', s.unit)
    o = Origin(t, echo)
    same(s.show()['Type'], 'notify-reload')
    main = s.main()
    s.configure({'listeners': [conf.listener(
        address=['127.0.0.1:1080', '127.0.0.1:1081'])]})
    s.reload()
    assert serves(o, ('127.0.0.1', 1081))
    s.configure(text='nonsense')
    s.reload()
    p = s.show()
    same((p['ActiveState'], p['SubState']), ('active', 'running'))
    s.wait_status('failed')
    assert serves(o, ('127.0.0.1', 1081))
    same(s.main(), main)


# --- Everything, under the unit ---------------------------------------------

@slow
@alone
@timeout(1200)
def test_the_other_tests_pass_under_the_unit(t):
    """SPLICED_UNDER_UNIT: a pattern of those to run, as run.py's -k."""
    s = Service(t, start=False)
    log = os.path.join(t.build, 'under-unit.log')
    failed = under_unit.run(s, log, os.environ.get('SPLICED_UNDER_UNIT'))
    print('\n'.join(failed))
    assert not failed, f'{len(failed)} failed, {log} has what they said'
