"""Several replicas behind a balancer, as spliced-scale(7) shows it: one leaves
and comes back, and nobody notices."""
import contextlib
import json
import os
import re
import signal
import subprocess
import threading

from lib import client, conf, net, origin
from lib.admin import get
from lib.box import TOP
from lib.case import (Skip, eventually, netns, patient, same, slow, timeout,
                      tool)
from lib.client import ProxyError, dial, echoes, tunnel
from lib.clients import node_modules
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


def leaves_and_comes_back(t, machines, out, back):
    """Two replicas behind VIP, the second of which is drained in between;
    `out` and `back` tell the balancer."""
    at = [f'{a}:1080' for a in REPLICAS]
    one, two = [replica(t, m, address=[a]) for m, a in zip(machines, at)]
    o = Origin(t, echo, host=CLIENT)
    bulk = Origin(t, lambda s: origin.send_bulk(s, 8, 3), host=CLIENT)
    vip = (BALANCER, 1080)
    # Each has one of these.
    held = [tunnel(vip, bulk.target) for _ in range(2)]
    with Callers(vip, o.target) as callers:
        eventually(lambda: served(one) > 3 and served(two) > 3)
        # The client's own address, although packets were rewritten.
        same(one.access(event='disconnect')[0]['client'].split(':')[0],
             CLIENT)
        out()
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
        back()
        eventually(lambda: served(again) > 3)
    same(callers.failed, [])
    for d in (one, again):
        d.signal(signal.SIGTERM)
        d.wait_exit()


@netns
def test_a_replica_behind_nft_leaves_and_comes_back(t):
    balancer, machines = network(t)
    choose, without = examples('table ip proxies')
    nft(balancer, choose)
    leaves_and_comes_back(
        t, machines, lambda: nft(balancer, without),
        lambda: nft(balancer, 'flush chain ip proxies choose\n' + choose))


@netns
def test_a_replica_behind_ipvs_leaves_and_comes_back(t):
    balancer, machines = network(t)

    def ipvs(line):
        done = t.run('nsenter', f'--net={balancer.path}',
                     tool('ipvsadm', 'ipvsadm'), *line.split()[2:])
        if b"Can't initialize ipvs" in done.stderr:
            raise Skip('this kernel has no IPVS (CONFIG_IP_VS)')
        same((done.returncode, done.stderr), (0, b''))
    text, = examples('# ipvsadm')
    *begin, without = text.splitlines()
    for line in begin:
        ipvs(line)
    leaves_and_comes_back(t, machines, lambda: ipvs(without),
                          lambda: ipvs(without.replace('-w 0', '-w 1')))


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


# --- One address, two machines ----------------------------------------------

PAIR = ('192.0.2.11', '192.0.2.12')


def segment(t):
    """Two machines at a switch, and we at it, too."""
    try:
        net.ip('link', 'add', 'lan', 'type', 'bridge')
    except AssertionError as e:
        raise Skip(f'this kernel has no bridge: {e}') from None
    net.add_address(CLIENT + '/24', 'lan')
    net.ip('link', 'set', 'lan', 'up')
    machines = []
    for n, address in enumerate(PAIR):
        machine = net.Namespace(t)
        net.join(f'port{n}', machine)
        net.ip('link', 'set', f'port{n}', 'master', 'lan')
        machine.ip('address', 'add', address + '/24', 'dev', 'wan0')
        machines.append(machine)
    return machines


def keep(t, machine, text, n):
    """keepalived, with the manual's configuration."""
    path = t.file(f'keepalived-{n}.conf', text, 0o600)
    flags = [f'--{what}={t.path(f"{what}-{n}")}'
             for what in ('pid', 'vrrp_pid', 'checkers_pid')]
    t.start('nsenter', f'--net={machine.path}',
            tool('keepalived', 'keepalived'), '--dont-fork', '--log-console',
            '--vrrp', f'--use-file={path}', *flags)


def has_address(machine):
    return f' {BALANCER}/' in machine.ip('-o', 'address')


def serves(t, address, target):
    """Whether somebody does at an address that may be on its way."""
    with contextlib.suppress(OSError, AssertionError, ProxyError), \
            tunnel(address, target) as s:
        return echoes(s)
    return False


@slow
@netns
@timeout(60)
def test_an_address_leaves_a_replica_that_drains_or_dies(t):
    tool('curl', 'curl')
    text, = examples('vrrp_instance')
    conf_text, = examples('http = "127.0.0.1:9180"')
    machines = segment(t)

    said = {'listeners': conf.Raw(re.search(r'listeners: (.*);',
                                            conf_text)[1]),
            'admin': {'http': [re.search('http = "(.*)"', conf_text)[1]]},
            'timeouts': {'shutdown': '60s'}}

    def begin(machine):
        with machine.inside():
            return Daemon(t, said)
    one, two = map(begin, machines)
    o = Origin(t, echo, host=CLIENT)
    vip = (BALANCER, 1080)
    keep(t, machines[0], text, 0)
    eventually(lambda: has_address(machines[0]), 20)
    keep(t, machines[1], text, 1)
    eventually(lambda: serves(t, vip, o.target))
    eventually(lambda: served(one))
    assert not served(two)

    # It drains: nobody new comes to it, and who is there stays.
    with tunnel((PAIR[0], 1080), o.target) as held:
        one.signal(signal.SIGTERM)
        eventually(lambda: has_address(machines[1]) and
                   not has_address(machines[0]), 20)
        eventually(lambda: serves(t, vip, o.target))
        eventually(lambda: served(two))
        assert echoes(held)
    one.wait_exit()

    # It is back, and the address stays where it is until that one dies.
    again = begin(machines[0])
    with machines[0].inside():
        eventually(lambda: get(9180, '/readyz')[0] == 200)
    assert not has_address(machines[0])
    two.kill()
    eventually(lambda: has_address(machines[0]), 20)
    eventually(lambda: serves(t, vip, o.target))
    eventually(lambda: served(again))
    again.signal(signal.SIGTERM)
    again.wait_exit()


# --- Kubernetes ---------------------------------------------------------------

def test_the_pod_is_one_of_kubernetes(t):
    """Its fields are those of the API, its numbers those of spliced.conf."""
    yaml = load_yaml()
    text, = examples('terminationGracePeriodSeconds')
    spec = yaml.safe_load(text)['spec']
    with open(t.path('pod.ts'), 'w', encoding='utf-8') as f:
        f.write('import { PodSpec } from "kubernetes-types/core/v1";\n'
                f'export const spec: PodSpec = {json.dumps(spec)};\n')
    os.symlink(os.path.abspath(node_modules(t)), t.path('node_modules'))
    done = t.run(tool('tsc', 'node-typescript'), '--strict', '--noEmit',
                 'pod.ts', cwd=t.dir)
    same((done.returncode, done.stdout), (0, b''))

    box, = spec['containers']
    ports = {p['name']: p['containerPort'] for p in box['ports']}
    conf_text, = examples('admin.users')
    at = re.search(r'http = \[ "0.0.0.0:(\d+)" \]', conf_text)
    same(int(at[1]), ports['admin'])
    probe = box['readinessProbe']['httpGet']
    same((probe['path'], probe['port']), ('/readyz', 'admin'))
    shutdown = re.search(r'shutdown = "(\d+)m"', conf_text)
    pause = box['lifecycle']['preStop']['sleep']['seconds']
    assert int(shutdown[1]) * 60 + pause + 5 <= \
        spec['terminationGracePeriodSeconds']
    mounted = {m['mountPath'] for m in box['volumeMounts']}
    assert os.path.dirname(re.search('users = "(.*)"', conf_text)[1]) in \
        mounted
    same({m['name'] for m in box['volumeMounts']},
         {v['name'] for v in spec['volumes']})
    with open(os.path.join(TOP, 'systemd/container/spliced.conf'),
              encoding='utf-8') as f:
        same(set(map(int, re.findall(r'[\d\]]:(\d+)"', f.read()))),
             {ports['proxy']})


def load_yaml():
    try:
        import yaml
    except ImportError:
        raise Skip('no YAML: apt-get install python3-yaml') from None
    return yaml
