"""Files of users, with hashes by the crypt(3) that the daemon uses."""
import ctypes
import os

from .case import Skip

QUICK = '$5$rounds=1000$salt$'    # takes a millisecond
SLOW = '$6$rounds=300000$salt$'   # takes some hundred


def crypt(password, setting=QUICK):
    try:
        lib = ctypes.CDLL('libcrypt.so.1')
    except OSError:
        raise Skip('libcrypt.so.1 is missing') from None
    lib.crypt.restype = ctypes.c_char_p
    raw = password if isinstance(password, bytes) else password.encode()
    got = lib.crypt(raw, setting.encode())
    assert got and got.startswith(b'$'), got
    return got.decode()


def users(t, logins, setting=QUICK, name='users'):
    """Writes a file that only its owner may read; `logins` is a dict."""
    lines = [f'{user}:{crypt(password, setting)}\n'
             for user, password in logins.items()]
    return t.file(name, ''.join(lines), 0o600)


def readable(path):
    """For the user that a daemon becomes when root starts it."""
    os.chmod(path, 0o644)
    return path


def demand(file, *auth, **options):
    """Changes that let in who logs in, or what else `auth` says.

    Failures are told at once and harm nobody, unless `options` say more.
    """
    return {'auth': {'users_file': file, 'failure_delay': '0',
                     'lock_after': 0, **options},
            'clients': [{'action': 'allow', 'from': 'any',
                         'auth': list(auth or ['password'])}]}
