"""danted and what its configuration becomes, side by side.

Each configuration of danted/ runs as it is in the real danted, and translated
in spliced.  Both are asked the same: the requests of danted/expect, of which
the outcome is written there, and hundreds that are made up, of which it must
be the same for both, but for what DIFFERENCES justifies.
"""
import collections
import contextlib

from lib import client, danted
from lib.case import each, long, netns, patient, same, timeout, tool
from lib.danted import ask_all, convert, expected, generated
from lib.pam import Helper
from lib.udp import Association, Echo

REQUESTS = 500

GUESTS = ['n', 'n', 'nu:alice:pwalice', 'u:alice:pwalice', 'v4']
USERS = ['u:alice:pwalice', 'u:bob:pwbob', 'nu:carol:pwcarol', 'u:bob:wrong',
         'u:nobody:x', 'n', 'v4']

Config = collections.namedtuple('Config', 'listeners offers status')

CONFIGS = {
    'gateway': Config([('10.20.0.1', 1080)], GUESTS, 0),
    'server': Config([('203.0.113.10', 1080), ('203.0.113.11', 1080)], USERS,
                     0),
    'list': Config([('203.0.113.10', 443)], ['n', *USERS], 0),
    'branch': Config([('10.20.0.1', 1080), ('127.0.0.1', 1080)], GUESTS, 0),
    'mixed': Config([('10.20.0.1', 1080), ('203.0.113.10', 1081)],
                    ['n', 'n', *USERS, 'nu:alice:pwalice'], 0),
    'bind': Config([('10.20.0.1', 1080)], GUESTS, 0),
}

# Why danted's outcome is not spliced's: of which configuration (None: any),
# which requests, the two outcomes (as they begin), and the reason.
Difference = collections.namedtuple(
    'Difference', 'config when danted spliced why')


DIFFERENCES = [
    Difference(
        None, lambda r: ':' in r.host, 'rep:08', 'rep:02',
        'without a source of IPv6 danted says so before it asks the rules'),
    Difference(
        'bind', lambda r: r.command == 'connect', 'rep:04', 'rep:02',
        'a name is not looked up for whom every address is denied'),
    Difference(
        'bind', lambda r: r.command == 'bind', 'ok', 'rep:02',
        'where every peer is denied, that is said before one comes'),
    Difference(
        'list', lambda r: r.host == 'evilexample.com', '', 'rep:02',
        'a suffix begins at a label'),
    Difference(
        'branch', lambda r: r.command == 'connect', 'ok:10.20.0.9',
        'ok:203.0.113.10',
        'danted passes on where a SOCKS parent says that it connects from, '
        'spliced tells its own end'),
    Difference(
        'branch', lambda r: True, 'rep:03', 'rep:02',
        'that there is no way is a matter of rules here'),
]


def justified(config, request, theirs, ours):
    return [d for d in DIFFERENCES if d.config in (None, config) and
            theirs.startswith(d.danted) and ours.startswith(d.spliced) and
            d.when(request)]


def same_outcome(request, theirs, ours):
    # Where a BIND listens and where UDP goes is a matter of addresses that
    # the machine has, not of what is allowed.
    if request.command != 'connect':
        theirs, ours = theirs[:2], ours[:2]
    return theirs == ours


@netns
@timeout(120)
@each(*CONFIGS)
def test_requests_end_as_with_danted(t, name):
    tool('danted', 'dante-server')
    config = CONFIGS[name]
    helper = Helper(t)
    danted.enter(t)
    helper.start()
    text = danted.read(name + '.conf')
    rows = list(expected(name))
    requests = [r.request for r in rows] + \
        generated(name, REQUESTS, config.listeners, config.offers)

    real = danted.Danted(t, text, rows[0])
    theirs = ask_all(requests)
    real.stop()
    d = danted.serve(t, convert(t, text, config.status).out, helper)
    ours = ask_all(requests)
    d.stop()

    wrong = []
    for row, a, b in zip(rows, theirs, ours):
        if not (a.startswith(row.danted) and b.startswith(row.spliced)):
            wrong.append(f'{row}: danted {a}, spliced {b}')
    found = collections.Counter()
    for r, a, b in list(zip(requests, theirs, ours))[len(rows):]:
        if same_outcome(r, a, b):
            continue
        reasons = justified(name, r, a, b)
        if reasons:
            found[reasons[0].why] += 1
        else:
            wrong.append(f'{r}: danted {a}, spliced {b}')
    for why, count in found.items():
        print(f'{count} of {REQUESTS}: {why}')
    assert not wrong, f'{len(wrong)}:\n' + '\n'.join(wrong[:60])


def peer_gets_in(request, peer):
    """Whether a BIND ends with that peer at the client's other end."""
    s, reply = client.socks5_ask(request.listener, (peer, 0), client.BIND,
                                 source=request.source)
    with s:
        if reply.code:
            return False
        try:
            far = client.dial((reply.host, reply.port), source=peer)
        except ConnectionRefusedError:
            return False
        with far:
            try:
                far.sendall(b'x')
                got = client.read_to_end(far)[0] if not danted.first_bytes(
                    s, 10)[1:2] == b'\0' else s.recv(1)
            except OSError:
                return False
            return got == b'x'


@netns
@timeout(60)
def test_peers_of_a_bind_are_those_of_danted(t):
    tool('danted', 'dante-server')
    danted.enter(t)
    text = danted.read('bind.conf')
    row = next(expected('bind'))
    pairs = [(row.request._replace(source=source), peer)
             for source in ('10.20.1.5', '10.20.2.9', '10.30.0.7',
                            '192.168.50.4')
             for peer in ('192.0.2.80', '192.0.2.99', '198.51.100.77')]
    real = danted.Danted(t, text, row)
    theirs = [peer_gets_in(*pair) for pair in pairs]
    real.stop()
    d = danted.serve(t, convert(t, text).out)
    ours = [peer_gets_in(*pair) for pair in pairs]
    d.stop()
    same([(r.source, peer) for (r, peer), got in zip(pairs, theirs) if got],
         [('10.20.1.5', '192.0.2.80'), ('10.20.2.9', '192.0.2.80')])
    same(ours, theirs)


DATAGRAMS = [('192.0.2.80', 7), ('192.0.2.99', 7), ('10.20.0.1', 7),
             ('127.0.0.1', 7), ('203.0.113.11', 7), ('2001:db8:2::80', 7),
             ('www.example.com', 7), ('inner.example.com', 7)]


def answered(t, source, listener, login):
    """Which targets of a client's datagrams answer."""
    a = Association(t, listener, source=source, login=login)
    found = set()
    a.socket.settimeout(patient(1.5))
    for _ in range(2):  # any may be lost, and danted does lose some
        for n, target in enumerate(DATAGRAMS):
            if target[0] not in found:
                a.send(target, b'%d' % n)
        with contextlib.suppress(TimeoutError):
            while True:
                found.add(DATAGRAMS[int(a.receive()[1])][0])
    a.close()
    return found


@long
@netns
@timeout(60)
@each(('gateway', '10.20.1.5', None),
      ('server', '198.51.100.77', ('bob', 'pwbob')))
def test_datagrams_go_where_danted_lets_them_go(t, how):
    tool('danted', 'dante-server')
    name, source, login = how
    helper = Helper(t)
    danted.enter(t)
    helper.start()
    for host, port in DATAGRAMS[:6]:
        Echo(t, host, port)
    text = danted.read(name + '.conf')
    real = danted.Danted(t, text, next(expected(name)))
    theirs = answered(t, source, CONFIGS[name].listeners[0], login)
    real.stop()
    d = danted.serve(t, convert(t, text).out, helper)
    ours = answered(t, source, CONFIGS[name].listeners[0], login)
    d.stop()
    assert '192.0.2.80' in theirs and 'www.example.com' in theirs, theirs
    same(ours, theirs)
