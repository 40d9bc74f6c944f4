"""Rules: who may ask for what.  In a network of the test's own, whose
loopback interface has addresses of every kind.
"""
from lib import client, conf, net
from lib.case import each, netns, same, valgrind
from lib.client import dial, echoes, http_request, read_to_end
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import Listener, Origin, echo

PUBLIC, PUBLIC6 = '192.88.98.7', '2a00::7'
PRIVATE, PRIVATE6 = '10.1.2.3', 'fd00::7'
METADATA = '169.254.169.254'
OTHER = '10.9.9.9'

HOSTS = f'''
{PUBLIC} www.target.example target.example other.example nottarget.example
{PRIVATE} inside.target.example
127.0.0.1 loop.target.example
{METADATA} meta.target.example
{OTHER} both.target.example
{PUBLIC} both.target.example
'''

PORT, SECOND = 7, 8008


def start(t, rules, **changes):
    """A daemon with these rules, and an echo on every address."""
    for address in (PUBLIC, PRIVATE, METADATA, OTHER):
        net.add_address(address + '/32')
    for address in (PUBLIC6, PRIVATE6):
        net.add_address(address + '/128')
    for port in (PORT, SECOND):
        Origin(t, echo, host='0.0.0.0', port=port)
        Origin(t, echo, host='::', port=port)
    hosts = t.file('hosts', HOSTS)
    return Daemon(t, {'rules': rules, 'names': {'hosts': hosts}, **changes})


def verdict(d, host, port=PORT, protocol='socks5', source=None):
    """allow or deny, as the reply and the log tell; else what it was."""
    s, code = client.ask(d.address, (host, port), protocol, source=source)
    with s:
        line = d.session(s)
        if not code:
            return 'allow' if echoes(s) else 'no echo'
    if code != {'socks5': client.DENIED, 'http': 403}[protocol]:
        return f'reply {code}'
    assert line()['outcome'] == 'denied', line()
    return 'deny'


def allow(**how):
    return {'action': 'allow', **how}


def deny(**how):
    return {'action': 'deny', **how}


ANY = allow(to='any')

# Rules, and what they say to (host, port) or host.
MATRIX = {
    'no rule allows nothing': (
        [], {PUBLIC: 'deny', PRIVATE: 'deny', '127.0.0.1': 'deny'}),
    'any is everything but what is guarded': (
        [ANY], {PUBLIC: 'allow', PUBLIC6: 'allow', PRIVATE: 'allow',
                '127.0.0.1': 'deny', '::1': 'deny', METADATA: 'deny',
                '::ffff:127.0.0.1': 'deny', '64:ff9b::7f00:1': 'deny',
                '127.0.0.2': 'deny'}),
    'no `to` is any': (
        [allow()], {PUBLIC: 'allow', '127.0.0.1': 'deny',
                    METADATA: 'deny'}),
    'loopback by keyword': (
        [allow(to='loopback')],
        {'127.0.0.1': 'allow', '::1': 'allow', '127.9.9.9': 'allow',
         '::ffff:127.0.0.1': 'allow', PUBLIC: 'deny', METADATA: 'deny'}),
    'loopback by prefix': (
        [allow(to=['127.0.0.0/8', '::1'])],
        {'127.0.0.1': 'allow', '::1': 'allow', PUBLIC: 'deny'}),
    'loopback by the widest prefix': (
        [allow(to='0.0.0.0/0')],
        {'127.0.0.1': 'allow', '::1': 'deny', PUBLIC: 'allow',
         PUBLIC6: 'deny'}),
    'link-local by keyword': (
        [allow(to='linklocal')], {METADATA: 'allow', PUBLIC: 'deny',
                                  '127.0.0.1': 'deny'}),
    'private': (
        [allow(to='private')],
        {PRIVATE: 'allow', PRIVATE6: 'allow', PUBLIC: 'deny',
         PUBLIC6: 'deny', '127.0.0.1': 'deny'}),
    'internet': (
        [allow(to='internet')],
        {PUBLIC: 'allow', PUBLIC6: 'allow', PRIVATE: 'deny',
         PRIVATE6: 'deny', '127.0.0.1': 'deny', METADATA: 'deny'}),
    'a prefix': (
        [allow(to=['10.1.0.0/16', '2a00::/16'])],
        {PRIVATE: 'allow', OTHER: 'deny', PUBLIC6: 'allow',
         PRIVATE6: 'deny'}),
    'the first that matches wins': (
        [deny(to='10.1.0.0/16'), allow(to='10.0.0.0/8'),
         deny(to='10.9.0.0/16'), ANY],
        {PRIVATE: 'deny', OTHER: 'allow', PUBLIC: 'allow'}),
    'one port': (
        [allow(to='any', ports=[str(PORT)])],
        {(PUBLIC, PORT): 'allow', (PUBLIC, SECOND): 'deny'}),
    'a range of ports': (
        [allow(to='any', ports=['1-6', '8000-8008'])],
        {(PUBLIC, PORT): 'deny', (PUBLIC, SECOND): 'allow'}),
    'a denied port': (
        [deny(ports=[str(SECOND)]), allow(to=['any', 'loopback'])],
        {(PUBLIC, PORT): 'allow', (PUBLIC, SECOND): 'deny',
         ('127.0.0.1', SECOND): 'deny', ('127.0.0.1', PORT): 'allow',
         ('www.target.example', SECOND): 'deny'}),
    'a name': (
        [allow(to='www.target.example')],
        {'www.target.example': 'allow', 'WWW.Target.Example': 'allow',
         'www.target.example.': 'allow', 'target.example': 'deny',
         'other.example': 'deny', PUBLIC: 'deny'}),
    'a suffix': (
        [allow(to='.target.example')],
        {'www.target.example': 'allow', 'target.example': 'allow',
         'inside.target.example': 'allow', 'nottarget.example': 'deny',
         'other.example': 'deny', PUBLIC: 'deny'}),
    'no name allows what is guarded': (
        [allow(to=['.target.example', 'any'])],
        {'loop.target.example': 'deny', 'meta.target.example': 'deny',
         'www.target.example': 'allow'}),
    'a name and its guarded address together': (
        [allow(to='loopback')], {'loop.target.example': 'allow',
                                 'www.target.example': 'deny'}),
    'a denied name': (
        [deny(to='.target.example'), ANY],
        {'www.target.example': 'deny', 'other.example': 'allow',
         PUBLIC: 'allow'}),
    'a denied address denies its name': (
        [deny(to='10.0.0.0/8'), ANY],
        {'inside.target.example': 'deny', 'www.target.example': 'allow'}),
    'one address of a name may be denied': (
        [deny(to='10.0.0.0/8'), ANY], {'both.target.example': 'allow'}),
    'commands': (
        [allow(to='any', commands=['connect'])], {PUBLIC: 'allow'}),
    'from': (
        [allow(**{'from': '127.0.0.0/8', 'to': PUBLIC}),
         deny(**{'from': 'any'})], {PUBLIC: 'allow', PRIVATE: 'deny'}),
    'from elsewhere': (
        [allow(**{'from': ['10.0.0.0/8', '::1'], 'to': 'any'})],
        {PUBLIC: 'deny'}),
    'multicast and broadcast are guarded': (
        [ANY], {'224.0.0.1': 'deny', '255.255.255.255': 'deny',
                '0.0.0.1': 'deny'}),
}


@netns
@each(*MATRIX)
def test_rules(t, what):
    rules, wanted = MATRIX[what]
    d = start(t, rules)
    for target, word in wanted.items():
        host, port = target if isinstance(target, tuple) else (target, PORT)
        for protocol in client.PROTOCOLS:
            got = verdict(d, host, port, protocol)
            assert got == word, (protocol, host, port, got)


@netns
def test_the_address_that_is_allowed_is_taken(t):
    d = start(t, [deny(to='10.0.0.0/8'), ANY])
    same(verdict(d, 'both.target.example'), 'allow')
    same(d.wait_access()['address'], f'{PUBLIC}:{PORT}')


@netns
@valgrind
def test_a_denied_name_is_not_even_asked_for(t):
    server = DnsServer(t, {('x.example', 'A'): a(PUBLIC)})
    d = start(t, [deny(to='.example'), deny(ports=['25']), ANY],
              names={'servers': [server.address]})
    same(verdict(d, 'x.example'), 'deny')
    same(verdict(d, 'x.elsewhere', 25), 'deny')
    assert not server.queries, server.queries


@netns
def test_the_unspecified_address_is_no_target(t):
    d = start(t, [allow(to=['any', 'loopback', '0.0.0.0/0', '::/0'])])
    for host in ('0.0.0.0', '::', '::ffff:0.0.0.0'):
        for protocol in client.PROTOCOLS:
            assert verdict(d, host, PORT, protocol) != 'allow', host


@netns
def test_what_we_listen_on_is_refused_whatever_the_rules_say(t):
    d = start(t, [allow(to=['any', '0.0.0.0/0', '::/0'])], listeners=[
        conf.listener(address=['0.0.0.0:1080', '[::]:1080'])])
    d.addresses = [('127.0.0.1', 1080)]
    for host in ('127.0.0.1', '127.0.0.5', PUBLIC, '::1', PUBLIC6,
                 'www.target.example', 'loop.target.example'):
        assert verdict(d, host, 1080) == 'deny', host
    same(verdict(d, PUBLIC), 'allow')


# --- who may talk to us -----------------------------------------------------

def is_served(address, source=None):
    with dial(address, source=source) as s:
        try:
            s.sendall(b'\5\1\0')
            return client.read_exact(s, 2) == b'\5\0'
        except (EOFError, ConnectionError):
            return False


@valgrind
def test_a_denied_client_is_not_served(t):
    d = Daemon(t, {'clients': [
        {'action': 'deny', 'from': '127.0.0.2'},
        {'action': 'allow', 'from': ['127.0.0.2/31']}]})
    assert not is_served(d.address, '127.0.0.2')
    assert is_served(d.address, '127.0.0.3')
    assert not is_served(d.address, '127.0.0.1'), 'the last word is deny'
    line = d.wait_access(2, outcome='denied')
    assert line['client'].startswith('127.0.0.1:'), line


def test_no_client_rule_serves_nobody(t):
    d = Daemon(t, {'clients': []})
    assert not is_served(d.address)


def test_a_client_rule_may_name_its_listener(t):
    d = Daemon(t, {
        'listeners': [conf.listener(name='one'),
                      conf.listener(name='two', address=['127.0.0.3:0'])],
        'clients': [{'action': 'allow', 'from': 'any', 'listener': 'two'}]})
    assert not is_served(d.at('127.0.0.1'))
    assert is_served(d.at('127.0.0.3'))


def test_clients_of_either_family_have_their_rules(t):
    d = Daemon(t, {'clients': [{'action': 'allow', 'from': '::1'}]})
    assert not is_served(d.at('127.0.0.1'))
    assert is_served(d.at('::1'))


def test_a_mapped_client_is_an_ipv4_client(t):
    d = Daemon(t, {
        'listeners': [conf.listener(address=['[::]:0'], v6only=False)],
        'clients': [{'action': 'allow', 'from': '127.0.0.0/8'}]})
    port = d.address[1]
    assert is_served(('127.0.0.1', port))
    assert not is_served(('::1', port))
    assert d.wait_access(outcome='denied')['client'].startswith('[::1]:')


def test_rules_look_at_the_clients_address(t):
    d = Daemon(t, {'rules': [
        conf.deny(**{'from': '127.0.0.2'}),
        conf.allow(**{'from': '127.0.0.0/30'})]})
    o = Origin(t, echo)
    for source, word in (('127.0.0.1', 'allow'), ('127.0.0.2', 'deny'),
                         ('127.0.0.3', 'allow'), ('127.0.0.4', 'deny')):
        for protocol in client.PROTOCOLS:
            assert verdict(d, '127.0.0.1', o.port, protocol,
                           source) == word, source


def test_both_protocols_meet_the_same_rules(t):
    d = Daemon(t, {'rules': [conf.deny(name='stop', to='127.0.0.9'),
                             conf.allow()]})
    for protocol in client.PROTOCOLS:
        same(verdict(d, '127.0.0.9', 80, protocol), 'deny')
        d.wait_access(protocol=protocol, rule='stop')


def test_a_denied_request_connects_to_nothing(t):
    d = Daemon(t, {'rules': [conf.deny()]})
    o = Listener(t)
    with dial(d.address) as s:
        s.sendall(http_request(client.authority(*o.target)) + b'early')
        same(client.HttpReply(s).status, 403)
        read_to_end(s)
    o.socket.settimeout(0.2)
    try:
        o.accept()
    except TimeoutError:
        return
    raise AssertionError('it connected')


@netns
def test_an_interface_in_a_rule_is_warned_of(t):
    d = Daemon(t, {'rules': [
        {'name': 'inside', 'action': 'deny', 'to': ['lo', 'nowhere']},
        {'action': 'allow'}]})
    d.wait_log(r"warning rule 'inside': \"lo\" in 'to' is taken for a host")
    assert '"nowhere"' not in d.log()
