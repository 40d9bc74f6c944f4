"""splicedctl passwd: what it reads, what it writes, what it leaves alone."""
import os
import pty
import re
import signal
import stat
import subprocess

from lib import client
from lib.case import Skip, each, patient, same
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.users import crypt, demand, users


def command(t, *args):
    return [os.path.join(t.build, 'splicedctl'), 'passwd', *args]


def passwd(t, *args, said=b'secret\n'):
    return subprocess.run(command(t, *args), input=said, capture_output=True,
                          check=False, timeout=patient(20))


def done(result, said):
    same(result.returncode, 0)
    assert said in result.stdout.decode(), result


def refused(result, said, status=1):
    same(result.returncode, status)
    assert said in result.stderr.decode(), result


def lines(path):
    with open(path, encoding='utf-8') as f:
        return f.read().splitlines()


def test_what_it_writes_lets_in(t):
    path = users(t, {'bob': 'builder'})
    os.chmod(path, 0o644)
    done(passwd(t, 'alice', '--file', path), 'added')
    same([x.split(':')[0] for x in lines(path)], ['bob', 'alice'])
    assert lines(path)[1].startswith('alice:$y$'), lines(path)
    d = Daemon(t, demand(path))
    o = Origin(t, echo)
    for login in (('alice', 'secret'), ('bob', 'builder')):
        s, reply = client.socks5_ask(d.address, o.target, login=login)
        with s:
            same(reply.code, client.SUCCEEDED)
    done(passwd(t, 'alice', '--file', path, said=b'other'), 'changed')
    first = crypt('other', lines(path)[1].split(':')[1])
    same(lines(path)[1], 'alice:' + first)
    assert all('secret' not in x for x in lines(path))


def test_all_else_stays(t):
    text = (f'# people\n\nbob:{crypt("a")}\nbobby:{crypt("b")}  \r\n'
            f'bo:{crypt("c")}')
    path = t.file('users', text)
    done(passwd(t, 'alice', '--file', path), 'added')
    with open(path, encoding='utf-8', newline='') as f:
        now = f.read()
    assert now.startswith(text + '\nalice:$y$'), now
    done(passwd(t, '--remove', 'alice', '--file', path), 'removed')
    done(passwd(t, 'bob', '--remove', '--file', path), 'removed')
    with open(path, encoding='utf-8', newline='') as f:
        same(f.read(), re.sub('bob:.*\n', '', text, count=1) + '\n')
    same([x for x in os.listdir(t.dir) if 'users' in x], ['users'])


def test_mode_and_owner_stay(t):
    path = users(t, {'bob': 'builder'})
    os.chmod(path, 0o604)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = os.stat(path)
    link = t.path('link')
    os.symlink('users', link)
    done(passwd(t, 'alice', '--file', link), 'added')
    now = os.stat(path)
    same((now.st_mode, now.st_uid, now.st_gid),
         (before.st_mode, before.st_uid, before.st_gid))
    assert now.st_ino != before.st_ino and os.path.islink(link)


def test_a_new_file_is_not_for_everybody(t):
    path = t.path('new')
    refused(passwd(t, 'alice', '--remove', '--file', path), 'No such file')
    done(passwd(t, 'alice', '--file', path), 'added')
    same(stat.S_IMODE(os.stat(path).st_mode), 0o640)


@each((b'', 'no password'), (b'\n', 'empty'), (b'a\0b\n', 'NUL'),
      (b'x' * 256 + b'\n', '255'))
def test_some_passwords_are_refused(t, case):
    path = users(t, {'bob': 'builder'})
    before = lines(path)
    refused(passwd(t, 'alice', '--file', path, said=case[0]), case[1])
    same(lines(path), before)


@each(('x' * 256, 'bytes'), ('', 'bytes'), ('a:b', "':'"), ('#a', "'#'"),
      ('a\nb', 'control'))
def test_some_names_are_refused(t, case):
    path = users(t, {'bob': 'builder'})
    before = lines(path)
    refused(passwd(t, case[0], '--file', path), case[1])
    same(lines(path), before)


def test_a_long_password_counts_whole(t):
    path = t.path('users')
    done(passwd(t, 'alice', '--file', path, said=b'x' * 255), 'added')
    hashed = lines(path)[0].split(':')[1]
    same(crypt('x' * 255, hashed), hashed)


def test_a_wrong_file_stays_as_it_is(t):
    path = t.file('users', 'bob:builder\n')
    refused(passwd(t, 'alice', '--file', path), 'users:1: ')
    same(lines(path), ['bob:builder'])
    refused(passwd(t, 'eve', '--remove', '--file', path), 'no such user')
    refused(passwd(t, 'alice', '--file', t.dir), 'regular')
    refused(passwd(t, 'alice', '--file', t.path('no/users')),
            'No such file or directory (make its folder first)')
    same(sorted(x for x in os.listdir(t.dir) if 'users' in x), ['users'])


def test_nobody_else_can_write(t):
    if os.geteuid():
        raise Skip('only root can be somebody else')
    path = users(t, {'bob': 'builder'})
    before = lines(path)
    os.chmod(t.dir, 0o755)
    result = subprocess.run(
        ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
         *command(t, 'alice', '--file', path)], input=b'x\n',
        capture_output=True, check=False, timeout=patient(20))
    refused(result, 'Permission denied (who runs this must be allowed')
    same(lines(path), before)


def test_several_at_once_lose_nothing(t):
    path = t.path('users')
    running = [subprocess.Popen(command(t, f'user{i}', '--file', path),
                                stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL)
               for i in range(12)]
    for p in running:
        p.stdin.write(b'secret\n')
        p.stdin.close()
    for p in running:
        same(p.wait(patient(20)), 0)
    same(sorted(x.split(':')[0] for x in lines(path)),
         sorted(f'user{i}' for i in range(12)))


@each(('passwd',), ('passwd', 'a', 'b'), ('status', '--remove'),
      ('status', '--file', 'x'))
def test_the_command_line_is_checked(t, args):
    result = t.run(os.path.join(t.build, 'splicedctl'), *args)
    same(result.returncode, 2)
    assert result.stderr


# --- On a terminal ----------------------------------------------------------

def on_terminal(t, path, answers):
    """Types answers to what is asked; what was shown, and the status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(command(t)[0], command(t, 'alice', '--file', path))
    shown = b''
    try:
        for prompt, answer in answers:
            while prompt not in shown.split(b'\n')[-1]:
                shown += os.read(fd, 1000)
            os.write(fd, answer)
            shown += b'\n'
        while True:
            more = os.read(fd, 1000)
            if not more:
                break
            shown += more
    except OSError:  # its end
        pass
    os.close(fd)
    return shown, os.waitpid(pid, 0)[1]


def test_a_person_is_asked_twice_and_sees_nothing(t):
    path = t.path('users')
    shown, status = on_terminal(t, path, [(b'Password: ', b'secret\n'),
                                          (b'Again: ', b'secret\n')])
    same(status, 0)
    assert b'secret' not in shown and b'added' in shown, shown
    hashed = lines(path)[0].split(':')[1]
    same(crypt('secret', hashed), hashed)
    shown, status = on_terminal(t, path, [(b'Password: ', b'secret\n'),
                                          (b'Again: ', b'secrets\n')])
    same(os.waitstatus_to_exitcode(status), 1)
    assert b'different' in shown, shown


def test_a_person_may_give_up(t):
    path = t.path('users')
    shown, status = on_terminal(t, path, [(b'Password: ', b'sec\x03')])
    same(os.waitstatus_to_exitcode(status), -signal.SIGINT)
    assert not os.path.exists(path), shown
