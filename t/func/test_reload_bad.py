"""Reloads that fail, and reloads that come all at once."""
import os
import re
import signal
import threading

from lib import conf, proc
from lib.case import Skip, each, eventually, same
from lib.client import echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.serving import Newcomer, fixed, inodes, refused, served


def port_of_another(t):
    o = Origin(t, echo)
    return {'listeners': [conf.listener(), conf.listener(
        name='more', address=[f'127.0.0.1:{o.port}'])]}, rf':{o.port}\b'


def log_in_no_folder(t):
    return {'log': {'target': f'file:{t.path("no/where")}/x.log'}}, 'no/where'


def users(text):
    """Clients must log in, and the users file says this; None: is missing."""
    def changes(t):
        path = t.path('users') if text is None else t.file('users', text)
        return {'clients': [{'action': 'allow', 'from': 'any',
                             'auth': ['none', 'password']}],
                'auth': {'users_file': path}}, re.escape(path) + (
                    ': cannot be read' if text is None else ':2: ')
    return changes


BAD = {
    'gone': None,
    'a folder': None,
    'unreadable': None,
    'syntax': ('workers = ;\n', r'\.conf:1:'),
    'a key that is unknown': ('wrokers = 2;\n', r'\.conf:1:.*wrokers'),
    'no listener': ('workers = 2;\n', 'listeners'),
    'an empty file': ('\n', 'listeners'),
    'an included file that is missing': (
        '@include "none.conf"\n', r'none\.conf'),
    'bytes that are no text': (b'\xff\xfe\0\1' * 100, r'\.conf'),
    'two errors': ('wrokers = 2;\nuser = 5;\n', r":2: 'user'"),
    'a port that is taken': port_of_another,
    'an address that is not ours': (
        {'listeners': [conf.listener(address=['192.0.2.77:0'])]},
        r'192\.0\.2\.77'),
    'a user that does not exist': (
        {'user': 'no-such-user'}, 'no-such-user'),
    'an interface that is missing': (
        {'outbound': {'device': 'none0'}}, 'none0'),
    'a log that cannot be opened': log_in_no_folder,
    'a users file that is wrong': users('# us\njoe:secret\n'),
    'a users file that is missing': users(None),
    'a control socket that cannot be made': (
        {'admin': {'socket': '/nonexistent/folder/ctl'}}, '/nonexistent'),
}


def break_file(t, d, what):
    """Makes the file bad and returns the pattern of what is said."""
    if what == 'gone':
        os.remove(d.conf_path)
        return re.escape(d.conf_path)
    if what == 'a folder':
        os.remove(d.conf_path)
        os.mkdir(d.conf_path)
        return re.escape(d.conf_path)
    if what == 'unreadable':
        if os.geteuid() == 0:
            raise Skip('root may read everything')
        os.chmod(d.conf_path, 0)
        return re.escape(d.conf_path)
    bad = BAD[what]
    changes, pattern = bad(t) if callable(bad) else bad
    if isinstance(changes, dict):
        d.write(changes)
    else:
        d.write(text=changes)
    return pattern


@each(*BAD)
def test_a_bad_file_changes_nothing_and_the_reason_is_told(t, what):
    if what == 'a user that does not exist' and os.geteuid():
        raise Skip('needs to be started as root')
    d = Daemon(t)
    o = Origin(t, echo)
    first = d.conf
    worker, before, addresses = d.worker, inodes(d), d.addresses
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        pattern = break_file(t, d, what)
        d.reload(fails=pattern)
        assert re.search(pattern, d.log()), 'the reason is not in the log'
        assert echoes(s)
        same(d.worker, worker)
        same(inodes(d), before)
        same(len(d.generations()), 1)
        d.assert_polled()
        served(d, o, 10)
        # The same by a signal: only the log can tell.
        lines = len(re.findall(pattern, d.log()))
        d.signal(signal.SIGHUP)
        eventually(lambda: len(re.findall(pattern, d.log())) > lines)
        served(d, o, 4)
        last = d.control.status()['reloads']
        eventually(lambda: d.control.status()['reloads']['failed'] == 2)
        assert re.search(pattern, d.control.status()
                         ['reloads']['last']['error']), last
        # What is mended is taken.
        if what == 'a folder':
            os.rmdir(d.conf_path)
        d.conf = first
        d.reload({}, rebase=False)
        same(d.addresses, addresses)
        same(inodes(d), before)
        assert d.worker != worker
        assert echoes(s)
        served(d, o, 10)


def test_a_new_port_of_a_file_that_is_bad_is_not_left_open(t):
    """It fails after it has opened the first of two new addresses."""
    first = conf.listener()
    d = Daemon(t, {'listeners': [first]})
    o = Origin(t, echo)
    more = fixed(name='more')
    port = int(more['address'][0].rpartition(':')[2])
    for _ in range(3):
        d.write({'listeners': [first, more, conf.listener(
            name='taken', address=[f'127.0.0.1:{o.port}'])]})
        d.reload(fails=rf':{o.port}\b')
        same(proc.listening(('127.0.0.1', port)), set())
        assert refused(('127.0.0.1', port))
    d.wait_master_rest()
    d.reload({'listeners': [first, more]})
    served(d, o, 10, ('127.0.0.1', port))


def test_what_a_bad_file_leaves_out_is_not_closed(t):
    """It names one listener less, and fails after that was seen."""
    first, second = fixed(), fixed(name='more')
    d = Daemon(t, {'listeners': [first, second]})
    o = Origin(t, echo)
    d.write({'listeners': [first], 'outbound': {'device': 'none0'}})
    d.reload(fails='none0')
    for a in d.addresses:
        served(d, o, 10, a)
    d.assert_polled()


# --- one after the other ----------------------------------------------------

def test_many_signals_at_once_are_one_or_two_reloads(t):
    d = Daemon(t)
    o = Origin(t, echo)
    # While the first one is under way the others come.
    new = eventually(lambda: (n := Newcomer(d)).freeze() and n, 20,
                     'a generation that is not ready yet')
    before = d.control.status()['reloads']['ok']
    for i in range(20):
        d.write({'rules': [conf.allow(name=f'number-{i}')]})
        d.signal(signal.SIGHUP)
    new.go_on()
    eventually(lambda: d.control.status()['reloads']['ok'] == before + 2)
    eventually(lambda: len(d.generations()) == 1)
    d.found = None
    served(d, o)
    d.wait_access(rule='number-19')
    same(d.control.status()['reloads']['ok'], before + 2)
    same(d.control.status()['reloads']['failed'], 0)
    d.wait_alone()
    d.rebase()


def test_all_who_ask_for_a_reload_are_answered(t):
    d = Daemon(t)
    answers = []

    def ask():
        answers.append(d.control.ask('reload wait', 20)[-1])
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(12)]
    # The master finds them all at once, whoever of them had his turn when.
    d.signal(signal.SIGSTOP)
    for thread in threads:
        thread.start()
    eventually(lambda: proc.unix_sockets(d.control.path) == 1 + len(threads))
    d.signal(signal.SIGCONT)
    for thread in threads:
        thread.join(30)
    same(len(answers), len(threads))
    assert all(a['ok'] for a in answers), answers
    done = d.control.status()['reloads']
    assert done['ok'] <= 4, done
    d.wait_alone()
    d.rebase()


def test_who_asks_while_a_bad_file_is_read_gets_the_next_answer(t):
    """A reload that was asked for later has read the file later."""
    d = Daemon(t)
    for _ in range(10):
        d.write(text='nonsense = 1;\n')
        d.signal(signal.SIGHUP)
        d.write({})
        assert d.control.ask('reload wait', 20)[-1]['ok']
    eventually(lambda: d.serving() and len(d.generations()) == 1)
    d.wait_alone()
    d.rebase()
