"""The sample for sysctl.d that spliced-tuning(7) speaks of."""
import os
import re

from lib.box import TOP
from lib.case import Skip


def settings():
    """Its lines: key, value, whether it is a comment."""
    with open(os.path.join(TOP, 'systemd/sysctl-spliced.conf'),
              encoding='ascii') as f:
        for line in f:
            found = re.fullmatch(r'(#?)([a-z][\w.-]+) = (.+)\n', line)
            if found:
                yield found[2], found[3], bool(found[1])
            else:
                assert re.match(r'#\s|#?\n', line), f'what is {line!r}?'


def test_the_sample_has_only_keys_that_the_kernel_has(t):
    del t
    if not os.path.exists('/proc/sys/fs'):
        raise Skip('no /proc/sys')
    found = list(settings())
    assert len(found) > 8, found
    for key, value, commented in found:
        path = '/proc/sys/' + key.replace('.', '/')
        # What is commented out needs a module that may not be there.
        if commented and not os.path.exists(path):
            continue
        with open(path, encoding='ascii') as f:
            now = f.read().split()
        assert len(now) == len(value.split()), f'{key}: {value}, now {now}'


def test_the_manual_speaks_of_every_key_of_the_sample(t):
    del t
    with open(os.path.join(TOP, 'man/spliced-tuning.7'),
              encoding='ascii') as f:
        manual = f.read()
    for key, _, _ in settings():
        assert key in manual, key
