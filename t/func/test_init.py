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
    assert 'File exists; --force replaces it' in done.err, done.err
    same(open(path, encoding='ascii').read(), 'mine\n')
    same(init(t, '--output', path, '--force').returncode, 0)
    assert 'listeners' in open(path, encoding='ascii').read()


@each((['--listen', 'nowhere'], 'nothing was written'),
      (['--allow', 'evrybody'], 'nothing was written'),
      (['--allow', '10.0.0.1/8'], 'write 10.0.0.0/8 or'))
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
