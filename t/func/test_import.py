"""spliced --import-danted: results, remarks, exit statuses."""
import re

from lib.case import each, same
from lib.danted import convert, read
from lib.daemon import Daemon, once
from lib.origin import Origin, echo
from lib.client import PROTOCOLS, ProxyError, echoes, tunnel

BASE = '''internal: 127.0.0.1 port = 1080
external: lo
socksmethod: none
client pass { from: 127.0.0.0/8 to: 0/0 log: connect }
'''
ALL = 'socks pass { from: 0/0 to: 0/0 }\n'


@each('gateway', 'server', 'list', 'branch', 'mixed', 'bind')
def test_a_result_is_a_configuration(t, name):
    done = convert(t, read(name + '.conf'))
    path = t.file('result.conf', done.out)
    checked = once(t, '--config', path, '--check')
    same(checked.returncode, 0)
    assert 'never matches' not in checked.err, checked.err
    # Each entry says where it comes from.
    for line in re.findall(r'^\t\t# danted-\d+\.conf:(\d+): ', done.out, re.M):
        assert int(line) <= read(name + '.conf').count('\n')


def test_a_result_serves(t):
    result = convert(t, BASE + ALL).out.replace(':1080', ':0')
    d = Daemon(t, text=result.replace(
        'log = [ "error" ]', 'log = [ "disconnect", "error" ]'))
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    try:
        tunnel(d.address, o.target, PROTOCOLS[1]).close()
        raise AssertionError('danted speaks no HTTP')
    except (ProxyError, EOFError, ConnectionResetError):
        pass
    d.wait_log(r'pass\(\d+\): tcp/connect \]: ')


def test_nothing_is_said_of_what_stays_as_it_is(t):
    done = convert(t, BASE + ALL)
    same(done.err, '')
    assert 'What is not as it was' not in done.out


def test_what_is_lost_is_a_comment_and_status_3(t):
    done = convert(t, BASE + ALL + 'monitor { from: 0/0 to: 0/0 }\n', 3)
    same(done.remarks, [('6', 'lost', 'monitor: there are no alarms')])
    assert '#   line 6: lost: monitor: there are no alarms\n' in done.out


def test_what_is_refused_leaves_nothing_and_is_status_1(t):
    done = convert(t, BASE + ALL + 'socks pass { from: 0/0 to: 0/0\n'
                   'libwrap: spawn /bin/true\n}\n'
                   'socks block { from: 0/0 to: . }\n', 1)
    same(done.out, '')
    same([r[:2] for r in done.remarks], [('7', 'refused')])
    assert 'nothing was written' in done.err
    # What is found only when it is written comes once the rest is right.
    done = convert(t, BASE + ALL + 'socks block { from: 0/0 to: . }\n', 1)
    same(done.remarks[0][:2], ('6', 'refused'))
    same(done.out, '')


def test_files_that_cannot_be_read_are_status_1(t):
    for path in (t.path('none'), t.dir, '/dev/null/x'):
        done = once(t, '--import-danted', path)
        same((done.returncode, done.out), (1, ''))
        assert path in done.err
    done = convert(t, '#' * (1 << 20) + '\n', 1)
    assert 'too large' in done.err, done.err
    convert(t, '', 1)
    same(once(t, '--import-danted').returncode, 2)


def test_a_file_of_a_dos_editor_is_taken(t):
    text = (BASE + ALL).replace('\n', '\r\n')
    same(convert(t, text).out.replace('danted-2', 'danted-1'),
         convert(t, BASE + ALL).out.replace('danted-3', 'danted-1')
         .replace('danted-2', 'danted-1'))


def test_interfaces_of_this_machine_are_known(t):
    done = convert(t, BASE.replace('127.0.0.1 port', 'lo port') +
                   'socks pass { from: lo to: lo\ncommand: connect\n}\n')
    assert 'address = [ "lo:1080" ]' in done.out
    assert 'from = [ "127.0.0.1"' in done.out
    assert 'source = [ "lo" ]' in done.out


def test_services_of_this_machine_are_known(t):
    done = convert(t, BASE + 'socks pass { from: 0/0 to: 0/0 port = https\n'
                   '}\n')
    assert 'ports = [ "443" ]' in done.out
