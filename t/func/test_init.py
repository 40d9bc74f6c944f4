"""A first configuration, from flags or from questions on a terminal."""
import os
import pty
import re
import select

from lib import client
from lib.case import each, same, tool
from lib.daemon import Daemon, check, once
from lib.origin import Origin, unused_port, web


def init(t, *args, **options):
    return once(t, '--init', *args, stdin=options.pop('stdin', None),
                **options)


def works(t, path, *words):
    """The daemon runs by that file, and curl works through it."""
    d = Daemon(t, file=False, args=('--config', path))
    o = Origin(t, web(b'hello'))
    done = t.run(tool('curl', 'curl'), '-s', '-x',
                 'socks5h://' + client.authority(*d.address), *words,
                 f'http://{client.authority(*o.target)}/')
    same(done.stdout, b'hello')


def terminal(t, *args, answers=()):
    """Runs it on a terminal; each answer is typed after a "] ".

    Returns its exit status and all that was on the screen.
    """
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(os.path.join(t.build, 'spliced'),
                 ['spliced', '--init', *args])
    answers, text, seen = list(answers), '', 0
    while True:
        if not select.select([fd], [], [], 20)[0]:
            raise AssertionError(f'it waits: {text}')
        try:
            more = os.read(fd, 4096).decode()
        except OSError:
            break
        text += more
        while answers and (m := re.compile(r'\] $|(?:word|Again): $').search(
                text, seen)):
            seen = m.end()
            os.write(fd, answers.pop(0).encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return status, text


def test_flags_are_enough(t):
    path, port = t.path('new.conf'), unused_port()
    done = init(t, '--listen', f'127.0.0.1:{port}', '--output', path)
    same((done.returncode, done.err), (0, ''))
    assert f'spliced --config {path}' in done.out, done.out
    assert f'curl -x socks5h://127.0.0.1:{port} ' in done.out, done.out
    same(check(t, open(path, encoding='ascii').read()).returncode, 0)
    works(t, path)


def test_nothing_is_replaced_unasked(t):
    path = t.file('old.conf', 'mine\n')
    done = init(t, '--output', path)
    same(done.returncode, 1)
    assert 'File exists (--force replaces it' in done.err, done.err
    same(open(path, encoding='ascii').read(), 'mine\n')
    same(init(t, '--output', path, '--force').returncode, 0)
    assert 'listeners' in open(path, encoding='ascii').read()


@each((['--listen', 'nowhere'], 'nothing was written'),
      (['--listen', '127.0.0.1:99999'], 'is not 0 to 65535'),
      (['--allow', 'evrybody'], 'nothing was written'),
      (['--allow', '10.0.0.1/8'], 'write 10.0.0.0/8 or'),
      (['--protocol', 'ftp'], "'ftp' is not known"),
      (['--protocol', 'http', '--protocol', 'http'], 'stands twice'),
      (['--log', 'syslog'], 'must be "stderr", "journal" or'),
      (['--tls', '/nonexistent'], 'cannot read /nonexistent'),
      (['--tls', '/etc/passwd'], 'nothing was written'),
      (['--user', 'a:b'], "no\n':'"),
      (['--user', 'u' * 256], '1 to 255 bytes'))
def test_what_would_not_load_is_not_written(t, case):
    args, words = case
    path = t.path('new.conf')
    done = init(t, '--output', path, *args)
    same(done.returncode, 1)
    assert words in done.err, done.err
    assert not os.path.exists(path) and not os.path.exists(path + '.new')


def test_questions_have_answers(t):
    path, port = t.path('new.conf'), unused_port()
    status, text = terminal(t, '--output', path, answers=(
        '\n', f'127.0.0.1:{port}\n', '\n', '\n', '\n', '\n'))
    same((status, 'has been written' in text), (0, True))
    works(t, path)


def test_the_first_user_is_made(t):
    path, port = t.path('new.conf'), unused_port()
    status, text = terminal(t, '--output', path, answers=(
        '\n', f'127.0.0.1:{port}\n', 'alice\n', '\n', '\n', '\n',
        'secret\n', 'secret\n'))
    same(status, 0)
    assert '--proxy-user alice' in text, text
    users = os.path.join(os.path.dirname(path), 'users')
    with open(users, encoding='ascii') as f:
        assert f.read().startswith('alice:'), text
    assert 'socks4' not in open(path, encoding='ascii').read().split(
        'protocols')[1].split(';')[0]
    works(t, path, '--proxy-user', 'alice:secret')


def test_the_end_of_input_writes_nothing(t):
    path = t.path('new.conf')
    status, text = terminal(t, '--output', path, answers=('\x04',))
    same(status, 1)
    assert 'nothing was written' in text, text
    assert not os.path.exists(path)


def test_its_flags_are_its_own(t):
    for args in (['--allow', 'loopback'], ['--force']):
        done = once(t, *args)
        same(done.returncode, 2)
        assert 'belong to --init' in done.err, done.err
    same(once(t, '--init', '--user', 'a', '--output', 'b').returncode, 2)
    done = init(t, '--config', 'a')
    same((done.returncode, '--output says' in done.err), (2, True))
    done = init(t, *['--protocol', 'http'] * 17)
    same((done.returncode, 'at most 16 --protocol' in done.err), (2, True))
    done = once(t, '--protocol', 'http')
    same((done.returncode, '--protocol to --explain or --init' in done.err),
         (2, True))


def protocols(path):
    """What stands there, between the brackets."""
    with open(path, encoding='ascii') as f:
        return re.search(r'protocols = \[ (.*) \];', f.read()).group(1)


def test_protocols_are_said(t):
    path, port = t.path('new.conf'), unused_port()
    address = ('--listen', f'127.0.0.1:{port}')
    same(init(t, '--output', path, *address, '--protocol', 'http',
              '--protocol', 'socks5').returncode, 0)
    same(protocols(path), '"http", "socks5"')
    works(t, path)
    # Then it is not asked for.
    status, text = terminal(
        t, '--output', path, '--force', *address, '--protocol', 'http',
        answers=('\n', '\n', '\n', '\n'))
    same((status, 'What they speak' in text), (0, False))
    same(protocols(path), '"http"')
    # What is tried next is what it speaks.
    assert f'curl -x http://127.0.0.1:{port} ' in text, text


def test_each_question_has_a_flag(t):
    """With all of them said, nothing is asked."""
    path = t.path('new.conf')
    status, text = terminal(t, '--output', path, '--listen', '127.0.0.1:0',
                            '--allow', 'loopback', '--protocol', 'socks5',
                            '--user', '', '--tls', '', '--log', 'stderr')
    same((status, '] ' in text.split('has been written')[0]), (0, False))
