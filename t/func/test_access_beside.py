"""The same clients at danted itself and at spliced with its form of lines."""
import os
import re

from lib import client, conf
from lib.case import Skip, eventually, same, tool
from lib.client import echoes, socks5_ask, socks5_greet, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port

DANTED = """
logoutput: %(log)s
internal: 127.0.0.1 port = %(port)d
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client block {
    from: 127.0.0.9/32 to: 0.0.0.0/0
    log: connect disconnect error
}
client pass {
    from: 127.0.0.0/8 to: 0.0.0.0/0
    log: connect disconnect error
}
socks block {
    from: 0.0.0.0/0 to: 127.0.0.0/8 port = 22
    log: connect disconnect error
}
socks pass {
    from: 0.0.0.0/0 to: 127.0.0.0/8
    command: connect
    log: connect disconnect error
}
"""

LOG = ['connect', 'disconnect', 'error']
COUNT = 9  # of lines that visit() is told of in
RULES = {
    'clients': [{'action': 'deny', 'from': '127.0.0.9', 'log': LOG},
                {'action': 'allow', 'from': '127.0.0.0/8', 'log': LOG}],
    'rules': [conf.deny(to='127.0.0.0/8', ports=['22'], log=LOG),
              conf.allow(to='127.0.0.0/8', commands=['connect'], log=LOG)],
}


def content(path):
    with open(path, encoding='ascii') as f:
        return f.read()


def visit(t, address):
    """What both are asked to do."""
    o = Origin(t, echo)
    with tunnel(address, o.target) as s:
        assert echoes(s, b'12345')
    with tunnel(address, o.target) as s:
        assert echoes(s, b'123')
        client.reset(s)
    socks5_ask(address, ('127.0.0.1', 22))[0].close()
    socks5_ask(address, ('127.0.0.1', unused_port()))[0].close()
    with client.dial(address, source='127.0.0.9') as s:
        try:
            client.read_all(s)
        except ConnectionResetError:
            pass
    with client.dial(address) as s:
        same(socks5_greet(s, b'\2'), b'\5\xff')
    with client.dial(address):
        pass


def lines(path):
    """Its lines without what differs from run to run.

    And without those by which danted tells of the client's rule what it tells
    of the request's as well.
    """
    found = []
    for line in content(path).splitlines():
        m = re.fullmatch(r'[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d '
                         r'\(\d+\.\d{6}\) danted\[\d+\]: info: '
                         r'((?:pass|block)\(\d+\): .*)', line)
        if not m or re.match(r'pass\(\d+\): tcp/accept ', m[1]) or \
                'higher-level' in m[1]:
            continue
        text = re.sub(r'((?:127\.0\.0|0\.0\.0)\.\d)\.\d{2,5}\b', r'\1.PORT',
                      m[1])
        text = re.sub(r'after reading \d+ bytes? in \d+ seconds?',
                      'after reading N bytes in N seconds', text)
        text = re.sub(r'duration: \ds', 'duration: Ns', text)
        # Who ended first is not told here, nor our end of what was refused.
        text = text.replace('local client closed', 'remote peer closed')
        text = re.sub(r'0 -> \S+ (\S+ -> 0: remote peer error)', r'0 -> \1',
                      text)
        found.append(text)
    return sorted(found)


def danteds(t):
    program = tool('danted', 'dante-server')
    log = t.file('danted.log', '', 0o666)
    port = unused_port()
    t.start(program, '-f', t.file('danted.conf', DANTED % {
        'log': log, 'port': port}))
    eventually(lambda: 'running' in content(log), said='danted runs')
    visit(t, ('127.0.0.1', port))
    # Several processes of it write there, in no order.
    eventually(lambda: 'eof from local client' in content(log) and
               len(lines(log)) >= COUNT, said='danted is done')
    return lines(log)


def test_lines_are_those_of_danted_itself(t):
    if os.geteuid():
        raise Skip('danted needs to be started as root')
    theirs = danteds(t)
    path = os.path.join(t.folder('log', 'nobody'), 'spliced.log')
    own = f'127.0.0.1:{unused_port()}'
    d = Daemon(t, {**RULES, 'listeners': [conf.listener(address=[own])],
                   'log': {'target': 'file:' + path, 'access': 'danted'}})
    visit(t, d.address)
    d.wait_rest()
    d.stop()
    ours = lines(path)
    same(ours, theirs)
    same(len(ours), COUNT)
