"""Parents: each kind of them, logins, groups, and what fails."""
from lib import client, conf
from lib.case import each, same
from lib.client import ProxyError, echoes, tunnel
from lib.conf import allow
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port
from lib.parents import Danted, Microsocks, Squid, Tinyproxy

HOSTS = '127.0.0.1 target.example parent.example\n'


def by(t, url, changes=None, **group):
    """spliced whose requests all leave by one group of parents."""
    group = {'name': 'paris', 'url': url, **group}
    return Daemon(t, conf.merge(changes, {
        'upstreams': [group], 'rules': [allow(upstream='paris')],
        'names': {'hosts': t.file('hosts', HOSTS)}}))


def reach(d, target, **options):
    with tunnel(d.address, target, **options) as s:
        assert echoes(s)
        return d.session(s)


def refused(d, target, protocol='socks5', **options):
    """How a request fails: the code for the client."""
    try:
        with tunnel(d.address, target, protocol, **options):
            raise AssertionError('it is let through')
    except ProxyError as e:
        return e.code


KINDS = {
    'socks5': (Microsocks, 'socks5'), 'socks5h': (Microsocks, 'socks5h'),
    'danted': (Danted, 'socks5'), 'socks4': (Danted, 'socks4'),
    'socks4a': (Danted, 'socks4a'), 'tinyproxy': (Tinyproxy, 'http'),
    'squid': (Squid, 'http'),
}


@each(*KINDS)
def test_a_tunnel_goes_by_a_parent(t, kind):
    make, scheme = KINDS[kind]
    parent, o = make(t), Origin(t, echo)
    d = by(t, parent.at(scheme))
    line = reach(d, o.target)()
    same((line['upstream'], line['hop'], line['outcome']),
         ('paris', '1', 'closed'))
    same(line['target'], client.authority(*o.target))
