"""Several replicas behind a balancer, as spliced-scale(7) shows it: one leaves
and comes back, and nobody notices."""
import contextlib
import os
import re
import signal
import subprocess
import threading

from lib import client, conf, net, origin
from lib.box import TOP
from lib.case import Skip, eventually, netns, patient, same, tool
from lib.client import dial
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port

CLIENT, BALANCER = '192.0.2.9', '192.0.2.1'
REPLICAS = ('10.0.0.11', '10.0.0.12')


def examples(word):
    """What the manual has in literal text that contains a word."""
    with open(os.path.join(TOP, 'man/spliced-scale.7'),
              encoding='utf-8') as f:
        blocks = re.findall(r'^\.Bd -literal.*\n((?:.*\n)*?)\.Ed', f.read(),
                            re.M)
    return [b.replace('\\e', '\\') for b in blocks if word in b]


def nft(balancer, text):
    done = subprocess.run(
        ['nsenter', f'--net={balancer.path}', tool('nft', 'nftables'), '-f',
         '-'], input=text.encode(), capture_output=True, check=False)
    if done.returncode and b'not supported' in done.stderr:
        raise Skip(f'nft: {done.stderr.decode()}')
    same((done.returncode, done.stderr), (0, b''))


def network(t):
    """Clients and targets here, a balancer, and a machine each replica."""
    balancer = net.Namespace(t)
    net.join('wan0', balancer)
    net.add_address(CLIENT + '/24', 'wan0')
    balancer.ip('address', 'add', BALANCER + '/24', 'dev', 'wan0')
    net.ip('route', 'add', '10.0.0.0/24', 'via', BALANCER)
    machines = []
    for n, address in enumerate(REPLICAS):
        machine = net.Namespace(t)
        with balancer.inside():
            net.join(f'lan{n}', machine)
            net.add_address('10.0.0.1/32', f'lan{n}')
            net.ip('route', 'add', address, 'dev', f'lan{n}')
        machine.ip('address', 'add', address + '/32', 'dev', 'wan0')
        machine.ip('route', 'add', '10.0.0.1', 'dev', 'wan0')
        machine.ip('route', 'add', 'default', 'via', '10.0.0.1', 'onlink',
                   'dev', 'wan0')
        machines.append(machine)
    with balancer.inside():
        with open('/proc/sys/net/ipv4/ip_forward', 'w',
                  encoding='ascii') as f:
            f.write('1')
    return balancer, machines


def replica(t, machine=None, **changes):
    where = machine.inside() if machine else contextlib.nullcontext()
    with where:
        return Daemon(t, {'listeners': [conf.listener(**changes)],
                          'timeouts': {'shutdown': '60s'}})


class Callers:
    """Clients that come one after the other until the block ends."""

    def __init__(self, address, target):
        self.address, self.target = address, target
        self.done = 0
        self.failed = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.stop.wait(0.002):
            try:
                with dial(self.address, 20) as s:
                    s.sendall(client.request('socks5', self.target) + b'hi')
                    same(client.take_reply(s, 'socks5'), 0)
                    same(client.read_exact(s, 2), b'hi')
                self.done += 1
            except Exception as e:
                self.failed.append(repr(e))

    def more(self, count=10):
        """Waits until so many more have been served."""
        wanted = self.done + count
        eventually(lambda: self.done >= wanted or self.failed)

    def __enter__(self):
        self.thread.start()
        self.more()
        return self

    def __exit__(self, *exception):
        self.stop.set()
        self.thread.join(patient(30))


def served(d):
    return len(d.access(event='disconnect'))


@netns
def test_a_replica_behind_nft_leaves_and_comes_back(t):
    balancer, machines = network(t)
    choose, without = examples('table ip proxies')
    nft(balancer, choose)
    at = [f'{a}:1080' for a in REPLICAS]
    one, two = [replica(t, m, address=[a]) for m, a in zip(machines, at)]
    o = Origin(t, echo, host=CLIENT)
    bulk = Origin(t, lambda s: origin.send_bulk(s, 8, 3), host=CLIENT)
    vip = (BALANCER, 1080)
    # In turn, so one of these is at the second replica.
    held = [client.tunnel(vip, bulk.target) for _ in range(2)]
    with Callers(vip, o.target) as callers:
        eventually(lambda: served(one) > 3 and served(two) > 3)
        # The client's own address, although packets were rewritten.
        same(one.access(event='disconnect')[0]['client'].split(':')[0],
             CLIENT)
        nft(balancer, without)
        two.signal(signal.SIGTERM)
        two.wait_log('ending')
        callers.more(20)
        crc = [origin.take_bulk(s, 8) for s in held]
        same(crc, [origin.checksum(8, 3)] * 2)
        for s in held:
            s.close()
        two.wait_exit()
        callers.more()

        # And back again.
        again = replica(t, machines[1], address=[at[1]])
        nft(balancer, 'flush chain ip proxies choose\n' + choose)
        eventually(lambda: served(again) > 3)
    same(callers.failed, [])
    for d in (one, again):
        d.signal(signal.SIGTERM)
        d.wait_exit()


def test_a_replica_behind_haproxy_leaves_without_being_taken_out(t):
    text, = examples('listen proxies')
    header = {'proxy_protocol': ['127.0.0.1'], 'proxy_protocol_only': True}
    one, two = replica(t, **header), replica(t, **header)
    port = unused_port()
    text = text.replace(BALANCER + ':1080', f'127.0.0.1:{port}')
    for d, address in zip((one, two), REPLICAS):
        text = text.replace(address + ':1080', '%s:%d' % d.address)
    haproxy = tool('haproxy', 'haproxy')
    path = t.file('haproxy.cfg', text)
    same(t.run(haproxy, '-c', '-f', path).returncode, 0)
    t.start(haproxy, '-db', '-f', path)
    address = ('127.0.0.1', port)

    def up():
        with contextlib.suppress(OSError):
            dial(address, 1).close()
            return True
        return False
    eventually(up)
    o = Origin(t, echo)
    with Callers(address, o.target) as callers:
        eventually(lambda: served(one) > 3 and served(two) > 3)
        two.signal(signal.SIGTERM)
        two.wait_exit()
        callers.more(20)
    same(callers.failed, [])
