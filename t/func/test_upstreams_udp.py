"""UDP by a SOCKS5 parent, and what does not go by parents."""
from lib import client, conf, udp
from lib.case import each, eventually, same
from lib.conf import allow
from lib.daemon import Daemon
from lib.origin import unused_port
from lib.parents import Danted, Microsocks, Tinyproxy
from lib.udp import Association
from test_upstreams import HOSTS, by


def spliced(t):
    d = Daemon(t, {'names': {'hosts': t.file('far', '127.0.0.1 far.test\n')}})
    return d, f'socks5://127.0.0.1:{d.address[1]}'


@each('danted', 'spliced')
def test_datagrams_go_by_a_parent(t, kind):
    url = Danted(t).url if kind == 'danted' else spliced(t)[1]
    o = udp.Echo(t)
    d = by(t, url)
    a = Association(t, d.address)
    for n in range(5):
        assert a.echoes(o.target, b'x' * n)
    for size in (500, 1000, 1400):
        assert a.echoes(o.target, client.noise(size))
    a.control.close()
    line = d.wait_access(command='udp', outcome='closed')
    same((line['upstream'], line['hop']), ('paris', '1'))
    same((line['up'], line['down']), ('2910', '2910'))
    same(line['target'], client.authority(*o.target))


def test_many_datagrams_go_by_a_parent(t):
    parent, url = spliced(t)
    targets = [udp.Echo(t) for _ in range(3)]
    d = by(t, url)
    a = Association(t, d.address)
    for n in range(30):
        a.send(targets[n % 3].target, b'%d' % n)
    got = [a.receive() for _ in range(30)]
    same(sorted(int(text) for _, text in got), list(range(30)))
    for sender, text in got:
        same(sender, targets[int(text) % 3].target)


def test_a_name_goes_to_the_parent_where_that_resolves(t):
    parent, url = spliced(t)
    o = udp.Echo(t)
    d = by(t, url, resolve='remote')
    a = Association(t, d.address)
    assert a.echoes(('far.test', o.target[1]), as_name=True)
    assert a.echoes(o.target)
    a.control.close()
    same(d.wait_access(outcome='closed')['target'], f'far.test:{o.target[1]}')


def test_a_name_is_resolved_here_otherwise(t):
    parent, url = spliced(t)
    o = udp.Echo(t)
    d = by(t, url)
    a = Association(t, d.address)
    assert a.echoes(('target.example', o.target[1]), as_name=True)


def test_each_datagram_goes_by_the_way_of_its_rule(t):
    parent, url = spliced(t)
    by_parent, direct, denied = (udp.Echo(t) for _ in range(3))
    d = Daemon(t, {
        'upstreams': [{'name': 'paris', 'url': url}],
        'rules': [conf.deny(to='127.0.0.0/8', ports=str(denied.target[1])),
                  allow(ports=str(direct.target[1])),
                  allow(upstream='paris')]})
    a = Association(t, d.address)
    for _ in range(3):
        a.send(denied.target, b'no')
        for o in (direct, by_parent):
            assert a.echoes(o.target)
    a.control.close()
    same(parent.wait_access(command='udp', outcome='closed')['up'], '12')


def test_the_parents_end_is_not_for_clients_to_talk_to(t):
    """Else who may send there would write headers of his own."""
    relays = []

    def serve(s):
        s.recv(3)
        s.sendall(b'\5\0')
        s.recv(10)
        far = udp.bound(t)
        relays.append(far)
        port = far.getsockname()[1]
        s.sendall(b'\5\0\0\1\0\0\0\0' + port.to_bytes(2, 'big'))
        s.recv(1)
    from lib.origin import Origin
    o = Origin(t, serve)
    d = Daemon(t, {
        'upstreams': [{'name': 'paris', 'url': f'socks5://127.0.0.1:{o.port}'}],
        'rules': [allow(to='127.0.0.1'), allow(upstream='paris')]})
    a = Association(t, d.address)
    a.send(relays[0].getsockname(), b'crafted')
    a.send(('192.0.2.9', 53), b'fine')
    same(relays[0].recv(100), udp.header('192.0.2.9', 53) + b'fine')
    # What comes back from elsewhere, or in a bad header, is nobody's.
    us = None
    a.send(('192.0.2.9', 53), b'again')
    _, us = relays[0].recvfrom(100)
    relays[0].sendto(b'\0\0\1' + udp.header('192.0.2.9', 53)[3:] + b'frag', us)
    relays[0].sendto(b'short', us)
    relays[0].sendto(udp.header('192.0.2.66', 53) + b'stranger', us)
    relays[0].sendto(udp.header('192.0.2.9', 53) + b'answer', us)
    same(a.receive(), (('192.0.2.9', 53), b'answer'))


def test_the_end_of_the_parent_is_the_end(t):
    parent = Danted(t)
    d = by(t, parent.url)
    a = Association(t, d.address)
    parent.stop()
    same(client.read_all(a.control), b'')
    d.wait_access(command='udp', outcome='target-reset')


@each('http', 'chain', 'socks4')
def test_what_cannot_be_done_is_refused(t, kind):
    url = {'http': lambda: Tinyproxy(t).url,
           'chain': lambda: [Microsocks(t).url, Microsocks(t).url],
           'socks4': lambda: Danted(t).at('socks4')}[kind]()
    d = by(t, url, chain=kind == 'chain')
    try:
        Association(t, d.address)
        raise AssertionError('it is let through')
    except client.ProxyError as e:
        same(e.code, 7)
    d.wait_access(command='udp', outcome='bad-command')


def test_a_dead_parent_refuses_what_only_it_could_do(t):
    dead = f'socks5://127.0.0.1:{unused_port()}'
    d = by(t, dead)
    try:
        Association(t, d.address)
        raise AssertionError('it is let through')
    except client.ProxyError as e:
        same(e.code, 4)
    o = udp.Echo(t)
    d = Daemon(t, {
        'upstreams': [{'name': 'paris', 'url': dead}],
        'rules': [allow(to='127.0.0.1', ports=str(o.target[1])),
                  allow(upstream='paris')]})
    straight = Association(t, d.address)
    assert straight.echoes(o.target)
    straight.control.close()
    assert 'upstream' not in d.wait_access(command='udp', outcome='closed')


def test_nobody_comes_to_a_bind_by_a_parent(t):
    d = by(t, Microsocks(t).url)
    s, reply = client.socks5_ask(d.address, ('127.0.0.1', 0), client.BIND)
    s.close()
    same(reply.code, 7)
