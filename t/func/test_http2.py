"""HTTP/2 on TLS listeners: tunnels by Node's client, and Chromium."""
import hashlib
import json
import os
import shutil
import subprocess
import time

from lib import client, conf
from lib.case import each, eventually, patient, same, timeout, tool
from lib.client import noise, read_exact, read_to_end
from lib.clients import (CLEAN, HELLO, NAME, PAGE, SOURCES, pages, secure,
                         url)
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.tls import Certificate


def entry(shows):
    return {'name': 'edge', 'certificate': shows.path, 'key': shows.key}


def served(shows, **changes):
    return {'tls': [entry(shows)],
            'listeners': [conf.listener(tls='edge')], **changes}


def node(t, d, ca, *jobs, **more):
    """What each of these jobs came to, over one connection."""
    words = json.dumps({'proxy': f'https://localhost:{d.address[1]}',
                        'ca': ca.path, 'jobs': jobs, **more})
    done = t.run(tool('node', 'nodejs'), os.path.join(SOURCES, 'h2.js'),
                 words, env=CLEAN, seconds=60)
    same((done.returncode, done.stderr.decode()), (0, ''))
    return [json.loads(line) for line in done.stdout.splitlines()]


def text(o):
    return '%s:%d' % o.target


def tell_digest(s):
    s.sendall(hashlib.sha256(read_to_end(s)[0]).hexdigest().encode())


def source(size):
    return lambda s: s.sendall(noise(size))


def drop(s):
    read_exact(s, 1)
    client.reset(s)


def stays(s):
    """Answers, and does not end when the client does: it has to be cut."""
    s.sendall(read_exact(s, 1))
    while s.recv(100):
        pass
    while True:
        s.sendall(b'.')  # until that fails
        time.sleep(0.01)


def test_many_tunnels_over_one_connection(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    same(node(t, d, c, {'job': 'echo', 'count': 100, 'bytes': 100000,
                        'target': text(o)},
              {'job': 'echo', 'count': 1, 'bytes': 8 << 20,
               'target': text(o)}), [100, 1])
    line = d.wait_access(protocol='http2', outcome='closed')
    same(line['command'], 'connect')
    d.assert_polled()


def test_much_in_either_direction(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    size = 30 << 20
    up, down = Origin(t, tell_digest), Origin(t, source(size))
    sent = hashlib.sha256(noise(size)).hexdigest()
    same(node(t, d, c, {'job': 'up', 'bytes': size, 'target': text(up)},
              {'job': 'down', 'target': text(down)}),
         [True, {'bytes': size, 'sha256': sent}])
    same(d.wait_access(outcome='closed', down=str(size))['up'], '0')
    d.assert_polled()


def test_a_tunnel_that_is_not_read_stops_no_other(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    size = 4 << 20
    o, down = Origin(t, echo), Origin(t, source(size))
    sent = hashlib.sha256(noise(size)).hexdigest()
    same(node(t, d, c, {'job': 'stalled', 'bytes': 1 << 20,
                        'echo': text(o), 'target': text(down)}),
         [[3, {'bytes': size, 'sha256': sent}]])


def test_resets_pass(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o, resets, stay = Origin(t, echo), Origin(t, drop), Origin(t, stays)
    same(node(t, d, c, {'job': 'reset', 'target': text(resets)},
              # Node ends its side, too, before it resets.
              {'job': 'cancel', 'target': text(stay)},
              {'job': 'echo', 'count': 1, 'bytes': 10, 'target': text(o)}),
         [10, 8, 1])
    d.wait_access(outcome='target-reset', protocol='http2')
    d.wait_access(outcome='client-reset', protocol='http2')
    d.wait_access(outcome='closed', protocol='http2')


def test_refusals_have_their_status(t):
    c = Certificate(t)
    rules = [conf.deny(to=['127.0.0.9']), conf.allow()]
    d = Daemon(t, served(c, rules=rules))
    o = Origin(t, echo)
    dead = Origin(t, echo)
    dead.close()
    same(node(t, d, c, {'job': 'status', 'target': '127.0.0.9:1'},
              {'job': 'status', 'target': text(dead)},
              {'job': 'status', 'target': 'nowhere'},
              {'job': 'echo', 'count': 1, 'bytes': 10, 'target': text(o)}),
         [[403, ''], [502, ''], [400, ''], 1])
    for outcome in ('denied', 'refused', 'bad-authority', 'closed'):
        d.wait_access(outcome=outcome, protocol='http2')


def test_a_reload_cuts_no_tunnel(t):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    words = json.dumps({'proxy': f'https://localhost:{d.address[1]}',
                        'ca': c.path, 'jobs': [
                            {'job': 'hold', 'count': 20, 'goaway': True,
                             'target': text(o)}]})
    p = subprocess.Popen(
        [tool('node', 'nodejs'), os.path.join(SOURCES, 'h2.js'), words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN)
    t.defer(p.kill)
    same(json.loads(p.stdout.readline()), 'held')
    done = d.control.run('reload')
    same((done.returncode, done.err), (0, ''))
    out = p.communicate(b'\n', patient(30))[0]
    same(json.loads(out), [20, 0])
    same(p.returncode, 0)
    # The connection went with the last of them, and the generation, too.
    eventually(lambda: len(d.control.generations()) == 1)


@each('https', 'http')
@timeout(120)
def test_chromium(t, scheme):
    """A page with ten more; for http:// it takes HTTP/1.1, as it is told."""
    c = Certificate(t)
    d = Daemon(t, served(c, names={
        'hosts': t.file('hosts', f'127.0.0.1 {NAME}\n')}))
    bodies = {}
    certificate = Certificate(t, NAME)
    serve = pages(bodies)
    o = Origin(t, secure(serve, certificate) if scheme == 'https' else serve)
    wanted = [url(o, NAME, scheme) + str(i) for i in range(10)]
    bodies['/page'] = PAGE % json.dumps(wanted)
    profile = t.folder('profile')
    t.defer(shutil.rmtree, profile, True)
    done = t.run(
        tool('chromium-headless-shell', 'chromium-headless-shell'),
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--disable-dev-shm-usage',
        '--ignore-certificate-errors', f'--user-data-dir={profile}',
        f'--proxy-server=https://localhost:{d.address[1]}',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
        f'--timeout={patient(20) * 1000:.0f}', '--virtual-time-budget=20000',
        '--dump-dom', url(o, NAME, scheme) + 'page',
        env={**CLEAN, 'HOME': t.dir}, seconds=60)
    text = done.stdout.decode()
    assert f'got {HELLO.decode() * len(wanted)}' in text, \
        (text, done.stderr.decode()[-2000:])
    if scheme == 'https':
        d.wait_access(target=f'{NAME}:{o.port}', protocol='http2')
        same(d.access(protocol='http'), [])
    else:
        d.wait_access(10, protocol='http', command='request')
