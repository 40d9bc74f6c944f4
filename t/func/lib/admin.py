"""The admin listener: asked over HTTP, its metrics as numbers."""
import base64
import http.client
import json
import re
import socket

from .case import patient

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def get(at, path, method='GET', login=None, seconds=10, **headers):
    """(status, fields, body) of a request; `at`: a port or a UNIX path."""
    if login:
        text = base64.b64encode(':'.join(login).encode()).decode()
        headers['Authorization'] = 'Basic ' + text
    seconds = patient(seconds)
    c = http.client.HTTPConnection('127.0.0.1', at, timeout=seconds) \
        if isinstance(at, int) else UnixConnection(at, seconds)
    try:
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, r.headers, r.read().decode()
    finally:
        c.close()


def get_json(at, path, **options):
    status, _, body = get(at, path, **options)
    assert status == 200, (status, body)
    return json.loads(body)


def parse(text):
    """The samples as {(name, ((label, value), ...)): number}."""
    found = {}
    for line in text.splitlines():
        if line.startswith('#'):
            continue
        m = SAMPLE.match(line)
        assert m, line
        key = m[1], tuple(sorted(LABEL.findall(m[2] or '')))
        assert key not in found, f'{key} twice'
        found[key] = float(m[3])
    return found


def metrics(at, **options):
    status, _, body = get(at, '/metrics', **options)
    assert status == 200, (status, body)
    return parse(body)


def value(samples, name, **labels):
    """What all samples of a name with these labels come to together."""
    wanted = set(labels.items())
    return sum(n for (has, of), n in samples.items()
               if has == name and wanted <= set(of))


def is_counter(key):
    return key[0].endswith(('_total', '_bucket', '_count', '_sum'))


def went_back(before, after):
    """Counters that are less than they were, or gone."""
    return {k: (n, after.get(k)) for k, n in before.items()
            if is_counter(k) and after.get(k, -1) < n}
