"""Configuration files for the daemon, from Python values.

The one place that knows the names of the options: tests say what differs
from BASE.
"""
import os


class Raw(str):
    """Text that goes into the file as it is."""


class Array(list):
    """Scalars in [ ]; a plain list of dicts becomes ( )."""


def scalar(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value).replace('\\', '\\\\').replace('"', '\\"')
    return f'"{text}"'


def render_value(value):
    if isinstance(value, dict):
        return '{ ' + ' '.join(render_items(value)) + ' }'
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, dict) for v in value):
            return '(\n  ' + ',\n  '.join(map(render_value, value)) + '\n)'
        if not value:
            return '( )'
        return '[ ' + ', '.join(map(scalar, value)) + ' ]'
    return scalar(value)


def render_items(group):
    return [f'{k} = {render_value(v)};' for k, v in group.items()
            if v is not None]


def render(conf):
    """The text of a configuration file."""
    return '\n'.join(render_items(conf)) + '\n'


def listener(**changes):
    """A listener on a port of 127.0.0.1 that the kernel picks."""
    return {'name': 'lan', 'address': ['127.0.0.1:0'],
            'protocols': ['socks5', 'socks4', 'http'], **changes}


def allow(**changes):
    """A rule that lets everything through, guarded addresses too."""
    return {'action': 'allow', 'from': 'any',
            'to': ['any', 'loopback', 'linklocal'], **changes}


def deny(**changes):
    return {'action': 'deny', **changes}


def base():
    conf = {
        'workers': 2,
        'log': {'target': 'stderr', 'level': 'info', 'access': 'logfmt'},
        'listeners': [listener(address=['127.0.0.1:0', '[::1]:0'])],
        'clients': [{'action': 'allow', 'from': 'any'}],
        'rules': [allow()],
        'timeouts': {'shutdown': '5s'},
        # All clients of a test have one address.
        'limits': {'per_client': 0},
    }
    if os.geteuid() == 0:
        conf['user'] = 'nobody'
    return conf


def merge(changes, conf=None):
    """`conf` or BASE with `changes`: groups are merged, others replaced."""
    conf = dict(base() if conf is None else conf)
    for key, value in (changes or {}).items():
        if isinstance(value, dict) and isinstance(conf.get(key), dict):
            conf[key] = {**conf[key], **value}
        else:
            conf[key] = value
    return {k: v for k, v in conf.items() if v is not None}


def relay(mode):
    """Changes that make every relay move bytes one way only."""
    return {'debug': {'relay': mode}}
