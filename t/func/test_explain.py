"""Why a request is allowed or not, by splicedctl and by spliced itself."""
import json
import os
import re

from lib import client
from lib.case import each, same
from lib.control import fails
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.users import demand, readable, users

ALICE, BOB = ('alice', 'secret'), ('bob', 'hidden')

RULES = {'rules': [
    {'name': 'mail', 'action': 'deny', 'ports': ['25']},
    {'name': 'web', 'action': 'allow', 'to': ['.example.com', '127.0.0.1'],
     'ports': ['80']},
    {'name': 'bobs', 'action': 'allow', 'to': ['127.0.0.0/8'],
     'users': ['bob']}]}


QUESTIONS = (
    (['127.0.0.1:25'], 4, r'rule 1 mail'),
    (['127.0.0.1:80'], 0, r'rule 2 web'),
    (['[2001:db8::1]:80'], 4, r'no rule'),
    (['www.example.com:25', 'alice'], 4, r'rule 1 mail'),
    (['www.example.com:80'], 4,
     r'2 allow web: depends on the address\n(.*\n)*'
     r'undecided: rule 2 web may match\n'
     r'undecided: it depends on the address of the name'),
    (['www.example.com:80', '--address', '192.0.2.1'], 0, r'rule 2 web'),
    (['www.example.com:80', '--address', '127.0.0.2'], 4, r'no rule'),
    (['127.0.0.9:99', 'bob'], 0, r"as 'bob'\n(.*\n)*.*rule 3 bobs"),
    (['127.0.0.9:99', 'alice'], 4, r'no rule'),
    (['127.0.0.9:99', 'eve'], 4, r'there is no such user'),
    (['127.0.0.9:99', 'b%o b'], 4, r"as 'b%o b'\n(.*\n)*.*no such user"),
    (['127.0.0.1:80', '--command', 'udp'], 0, r'^socks5 udp from'),
    (['127.0.0.1:80', '--protocol', 'http'], 0, r'^http connect from'),
    (['127.0.0.9:99', 'bob', '--protocol', 'http'], 0, r'rule 3 bobs'),
    (['127.0.0.9:99', 'bob', '--protocol', 'socks4'], 4,
     r'nobody can log in here'))


WAYS = (
    (['192.0.2.1:80'], 0, "rule 1 far\nway: upstream 'paris'\nallowed"),
    (['127.0.0.1:80'], 0, 'rule 3 here\nway: straight\nallowed'),
    (['www.example.com:80'], 0,
     "rule 2, by the name alone\n"
     "way: upstream 'rome', which looks the name up\nallowed"),
    (['www.example.com:80', '--address', '127.0.0.1'], 0, "'rome', which"),
    (['www.example.net:80'], 4, 'undecided: it depends'),
    (['www.example.net:80', '--address', '192.0.2.1'], 0, "'paris'\nallowed"),
    (['192.0.2.1:80', '--command', 'udp'], 0, "way: upstream 'paris'"),
    (['127.0.0.1:81'], 4, 'no rule matches\ndenied'),
)


def test_the_way_is_told(t):
    d = Daemon(t, {
        'upstreams': [
            {'name': 'paris', 'url': 'socks5://192.0.2.9:1080'},
            {'name': 'rome', 'url': 'socks5h://192.0.2.9:1080'}],
        'rules': [
            {'name': 'far', 'action': 'allow', 'to': ['192.0.2.0/24'],
             'upstream': 'paris'},
            {'name': 'names', 'action': 'allow', 'to': ['.example.com'],
             'upstream': 'rome'},
            {'name': 'here', 'action': 'allow', 'to': ['127.0.0.1'],
             'ports': ['80']}]})
    for words, status, part in WAYS:
        done = d.control.run('explain', '192.0.2.7', *words)
        same((words, done.returncode, done.err), (words, status, ''))
        assert part in done.out, (words, done.out)
        itself = t.run(os.path.join(t.build, 'spliced'), '--config',
                       d.conf_path, '--explain', '192.0.2.7', *words)
        same((itself.returncode, itself.stdout.decode()), (status, done.out))


def test_what_decides_is_told(t):
    path = readable(users(t, dict([ALICE, BOB])))
    d = Daemon(t, {**demand(path, 'none', 'password'), **RULES})
    for words, status, pattern in QUESTIONS:
        done = d.control.run('explain', '192.0.2.7', *words)
        same((words, done.returncode, done.err), (words, status, ''))
        assert re.search(pattern, done.out), done.out
        assert 'undecided: no rule' not in done.out, done.out
        said = done.out.splitlines()[-1]
        assert said.startswith(('allowed', 'denied', 'undecided')), said
        # The program says the same of the files, without a daemon.
        itself = t.run(os.path.join(t.build, 'spliced'), '--config',
                       d.conf_path, '--explain', '192.0.2.7', *words)
        same((itself.returncode, itself.stdout.decode()), (status, done.out))


@each(([], 4, 'wants a user id'), (['eve'], 4, "none of the entry's"),
      (['bob'], 0, 'is among those'))
def test_user_ids_are_explained(t, case):
    """As the daemon decides itself."""
    words, status, pattern = case
    d = Daemon(t, {'clients': [{'action': 'allow', 'from': ['any'],
                                'userid': ['bob']}],
                   'rules': [{'action': 'allow', 'to': ['loopback']}]})
    o = Origin(t, echo)
    done = d.control.run('explain', '127.0.0.1', '127.0.0.1:80', *words,
                         '--protocol', 'socks4')
    same((done.returncode, done.err), (status, ''))
    assert re.search(pattern, done.out), done.out
    s, reply = client.socks4_ask(d.address, o.target,
                                 userid=''.join(words).encode())
    with s:
        same(reply.code == client.GRANTED, status == 0)
    same(d.control.run('explain', '127.0.0.1', '127.0.0.1:80').returncode, 0)


NONSENSE = (
    (['10.0.0.1'], 2, 'wants FROM and TO'),
    (['10.0.0.1', 'x:1', 'bob', 'y'], 2, "unexpected argument 'y'"),
    (['10.0.0', '127.0.0.1:1'], 1, "'10.0.0' is no client's address"),
    (['10.0.0.1', '127.0.0.1'], 1, 'is no target'),
    (['10.0.0.1', '::1:80'], 1, 'is no target'),
    (['10.0.0.1', '127.0.0.1:0'], 1, 'has no port'),
    (['10.0.0.1', '127.0.0.1:65536'], 1, 'has no port'),
    (['10.0.0.1', '127.1:80'], 1, 'neither a name nor an address'),
    (['10.0.0.1', '127.0.0.1:80', '--address', '::1'], 1, 'that is one'),
    (['10.0.0.1', 'a:80', '--address', 'b'], 1, "'b' is no address"),
    (['10.0.0.1', 'a:80', '--listener', 'wan'], 1, "no listener 'wan'"),
    (['10.0.0.1', 'a:80', '--protocol', 'ftp'], 1, "no protocol 'ftp'"),
    (['10.0.0.1', 'a:80', '--command', 'put'], 1, "no command 'put'"),
    (['10.0.0.1', 'a:80', '--protocol', 'http', '--command', 'bind'], 1,
     'http has no such command'),
    (['10.0.0.1', 'a:80', 'u' * 256], 1, 'at most 255 bytes'),
    (['10.0.0.1', 'a:80', 'ü' * 100], 2, 'more than fits'))


def test_a_question_that_makes_no_sense_is_refused(t):
    d = Daemon(t)
    for words, status, pattern in NONSENSE:
        fails(d.control.run('explain', *words), status, pattern)


def test_an_explanation_is_for_programs_too(t):
    d = Daemon(t, RULES)
    done = d.control.run('--json', 'explain', '10.0.0.1', '127.0.0.1:25')
    same(done.returncode, 4)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert lines[0]['text'].startswith('socks5 connect from 10.0.0.1'), lines
    same((lines[-1]['verdict'], lines[-1]['ok'], lines[-1]['done']),
         ('denied', True, True))
