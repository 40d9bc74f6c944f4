"""HTTP/2 on TLS listeners: tunnels by Node's client."""
import hashlib
import json
import os
import subprocess

from lib import client, conf
from lib.case import eventually, patient, same, tool
from lib.client import noise, read_exact, read_to_end
from lib.clients import CLEAN, SOURCES
from lib.daemon import Daemon
from lib.h2 import Connection
from lib.origin import Origin, echo
from lib.tls import Certificate
from lib.users import readable, users


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
    o, resets = Origin(t, echo), Origin(t, drop)
    same(node(t, d, c, {'job': 'reset', 'target': text(resets)},
              {'job': 'cancel', 'target': text(o)},
              {'job': 'echo', 'count': 1, 'bytes': 10, 'target': text(o)}),
         [10, 8, 1])
    d.wait_access(outcome='target-reset', protocol='http2')
    d.wait_access(outcome='client-reset', protocol='http2')
    d.wait_access(outcome='closed', protocol='http2')


def test_refusals_have_their_status(t):
    c = Certificate(t)
    rules = [{'action': 'deny', 'to': ['127.0.0.9']}, {'action': 'allow'}]
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
