"""The command line, and what is served without a file."""
import os
import re
import signal

from lib import client, conf, net
from lib.case import Skip, each, netns, same
from lib.daemon import Daemon, check, once
from lib.origin import Origin, echo, unused_port


def test_version_says_name_and_number(t):
    done = once(t, '--version')
    same(done.returncode, 0)
    assert re.match(r'spliced \d+\.\d+', done.out), done.out
    assert not done.err


def test_help_names_every_option(t):
    done = once(t, '--help')
    same(done.returncode, 0)
    for option in ('--config', '--check', '--dump', '--listen', '--version',
                   '--help'):
        assert option in done.out, option
    assert not done.err


@each('--no-such-option', 'stray-argument', '--config', '--listen')
def test_a_usage_error_is_status_2(t, argument):
    done = once(t, argument)
    assert done.returncode == 2, done.returncode
    assert done.err and not done.out


@each('nonsense', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '[::1]',
      '::1:1080:x', 'name.example:1080')
def test_listen_wants_an_address_and_a_port(t, text):
    done = once(t, '--listen', text)
    assert done.returncode in (1, 2), done.returncode
    assert text in done.err, done.err


def test_listen_serves_without_a_file(t):
    d = Daemon(t, file=False, args=['--listen', '127.0.0.1:0'])
    o = Origin(t, echo)
    same(len(d.addresses), 1)
    for protocol in client.PROTOCOLS:
        with client.tunnel(d.address, o.target, protocol) as s:
            assert client.echoes(s)


def test_listen_may_come_more_than_once(t):
    d = Daemon(t, file=False, args=['--listen', '127.0.0.1:0',
                                    '--listen', '[::1]:0'])
    o = Origin(t, echo)
    assert {a[0] for a in d.addresses} == {'127.0.0.1', '::1'}
    for address in d.addresses:
        with client.tunnel(address, o.target) as s:
            assert client.echoes(s)


@netns
def test_without_a_file_this_machine_is_served_on_1080(t):
    d = Daemon(t, file=False)
    assert set(d.addresses) >= {('127.0.0.1', 1080), ('::1', 1080)}
    assert re.search(r'curl .*(127\.0\.0\.1|localhost):1080', d.log()), \
        'no line to try it with'
    o = Origin(t, echo)
    for address in (('127.0.0.1', 1080), ('::1', 1080)):
        for protocol in client.PROTOCOLS:
            with client.tunnel(address, o.target, protocol) as s:
                assert client.echoes(s)


@netns
def test_without_a_file_a_missing_family_is_skipped(t):
    net.ip('address', 'del', '::1/128', 'dev', 'lo')
    with open('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'w',
              encoding='ascii') as f:
        f.write('1')
    d = Daemon(t, file=False)
    same(d.addresses[0], ('127.0.0.1', 1080))
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        assert client.echoes(s)


def test_a_file_that_is_not_there_is_status_1(t):
    done = once(t, '--config', t.path('none.conf'))
    same(done.returncode, 1)
    assert t.path('none.conf') in done.err, done.err


def test_a_folder_is_no_file(t):
    done = once(t, '--config', t.dir)
    assert done.returncode == 1 and t.dir in done.err, done.err


def test_check_is_content_with_a_good_file(t):
    done = check(t, conf.render(conf.base()))
    assert done.returncode == 0, done.err


def test_a_file_without_listener_serves_nothing_and_says_so(t):
    done = check(t, '')
    same(done.returncode, 1)
    assert 'listeners' in done.out + done.err


def test_check_opens_no_socket(t):
    o = Origin(t, echo)
    done = check(t, conf.render(conf.merge({'listeners': [
        conf.listener(address=[f'127.0.0.1:{o.port}'])]})))
    assert done.returncode == 0, done.err


def without_heading(text):
    """What --dump says, but for the line that names the file."""
    return text.split('\n', 1)[1]


def test_dump_is_a_file_that_says_the_same(t):
    path = t.file('first.conf', conf.render(conf.merge({
        'timeouts': {'idle': '90s'},
        'rules': [conf.deny(ports=['25', '100-200'], to=['.example']),
                  conf.allow()]})))
    first = once(t, '--config', path, '--dump')
    assert first.returncode == 0, first.err
    for word in ('listeners', 'clients', 'rules', 'timeouts', 'limits',
                 'names', '.example', '100-200'):
        assert word in first.out, word
    path = t.file('second.conf', first.out)
    same(once(t, '--config', path, '--check').returncode, 0)
    second = once(t, '--config', path, '--dump')
    same(without_heading(second.out), without_heading(first.out))


def test_dump_without_a_file_shows_the_default(t):
    done = once(t, '--dump')
    assert done.returncode == 0, done.err
    assert '127.0.0.1:1080' in done.out and '[::1]:1080' in done.out
    path = t.file('default.conf', done.out)
    same(once(t, '--config', path, '--check').returncode, 0)


def test_a_bad_file_does_not_start(t):
    d = Daemon(t, text='no_such_key = 1;\n', wait=False)
    d.wait_exit(1)
    assert f'{d.conf_path}:1: ' in d.log()


def test_an_address_in_use_is_status_1(t):
    o = Origin(t, echo)
    d = Daemon(t, {'listeners': [conf.listener(
        address=[f'127.0.0.1:{o.port}'])]}, wait=False)
    d.wait_exit(1)
    assert f'127.0.0.1:{o.port}' in d.log()


def test_a_second_daemon_takes_no_half_of_the_first_ones_port(t):
    first = Daemon(t)
    host, port = first.address
    second = Daemon(t, {'listeners': [conf.listener(
        address=[f'{host}:{port}'])]}, wait=False)
    second.wait_exit(1)
    assert f'{host}:{port}' in second.log()


def test_an_address_that_is_not_ours_is_status_1(t):
    d = Daemon(t, {'listeners': [conf.listener(
        address=['192.0.2.77:0'])]}, wait=False)
    d.wait_exit(1)
    assert '192.0.2.77:0' in d.log()


def test_a_user_that_does_not_exist_is_status_1(t):
    if os.geteuid():
        raise Skip('needs to be started as root')
    d = Daemon(t, {'user': 'no-such-user'}, wait=False)
    d.wait_exit(1)
    assert 'no-such-user' in d.log()


def test_several_listeners_are_served(t):
    d = Daemon(t, {'listeners': [
        conf.listener(name='one', address=['127.0.0.1:0', '127.0.0.2:0']),
        conf.listener(name='two', address=['127.0.0.3:0'])]})
    o = Origin(t, echo)
    for host, name in (('127.0.0.1', 'one'), ('127.0.0.2', 'one'),
                       ('127.0.0.3', 'two')):
        with client.tunnel(d.at(host), o.target) as s:
            assert client.echoes(s)
        d.wait_access(listener=name)
    same(len(d.access(listener='one')), 2)


def test_both_families_fit_on_one_port(t):
    port = unused_port('::')
    d = Daemon(t, {'listeners': [conf.listener(
        address=[f'0.0.0.0:{port}', f'[::]:{port}'])]})
    o = Origin(t, echo)
    for host in ('127.0.0.1', '::1'):
        with client.tunnel((host, port), o.target) as s:
            assert client.echoes(s)


def test_ends_quietly_when_nothing_happened(t):
    d = Daemon(t)
    d.signal(signal.SIGTERM)
    d.wait_exit(0)
