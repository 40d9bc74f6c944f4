"""The admin listener of the service that is installed."""
import os
import signal

from lib import conf, proc
from lib.admin import get, get_json, metrics, value
from lib.box import ADDRESS, SOCKET, Service, listening, socket_unit
from lib.case import eventually, same
from lib.client import echoes, tunnel
from lib.origin import Origin, echo
from lib.users import crypt

PORT = 9180
PATH = '/run/spliced/http'
PAGES = {'/': 'text/html', '/metrics': 'text/plain',
         '/status.json': 'application/json',
         '/sessions.json': 'application/json', '/healthz': 'text/plain',
         '/readyz': 'text/plain',
         '/proxy.pac': 'application/x-ns-proxy-autoconfig'}


def admin(*http, **options):
    return {'admin': {'http': list(http), **options}}


def kind(at, path, **options):
    """The status of a page and its type."""
    status, fields, _ = get(at, path, **options)
    return status, fields['Content-Type'].split(';')[0]


def mended(s):
    """No socket that was passed is without an owner."""
    wrong = [m for m in s.messages() if 'no listener' in m]
    same(wrong, [])


def test_all_pages_are_served_at_both_kinds_of_address(t):
    s = Service(t, admin(f'127.0.0.1:{PORT}', 'unix:' + PATH))
    path = s.box.path(PATH)
    o = Origin(t, echo)
    with tunnel(ADDRESS, o.target) as c:
        assert echoes(c)
        for at in (PORT, path):
            for page, text in PAGES.items():
                same((page, kind(at, page)), (page, (200, text)))
            rows = get_json(at, '/sessions.json')['sessions']
            same([r['state'] for r in rows], ['tunnel'])
    eventually(lambda: value(metrics(path), 'spliced_sessions_total') == 1)
    same(os.stat(path).st_mode & 0o777, 0o660)
    # It counts on over a reload, and listens again after a restart.
    s.reload()
    same(get_json(PORT, '/status.json')['generation'], 2)
    same(value(metrics(path), 'spliced_sessions_total'), 1)
    s.restart()
    for at in (PORT, path):
        same(kind(at, '/readyz')[0], 200)
        same(get_json(at, '/status.json')['generation'], 1)


def test_who_may_look_is_in_a_file_of_the_service(t):
    s = Service(t, admin(f'127.0.0.1:{PORT}', users='/etc/spliced/admins'),
                start=False)
    s.box.write('/etc/spliced/admins', f'alice:{crypt("secret")}\n')
    s.box.systemctl('start', s.unit)
    same(get(PORT, '/metrics')[0], 401)
    same(get(PORT, '/metrics', login=('alice', 'secret'))[0], 200)
    same(get(PORT, '/readyz')[0], 200)


def test_it_is_not_ready_while_the_service_stops(t):
    s = Service(t, {**admin(f'127.0.0.1:{PORT}'),
                    'timeouts': {'shutdown': '20s'}})
    same(get(PORT, '/readyz')[::2], (200, 'ok\n'))
    with tunnel(ADDRESS, Origin(t, echo).target) as c:
        assert echoes(c)
        s.box.systemctl('stop', '--no-block', s.unit)
        eventually(lambda: get(PORT, '/readyz')[::2] == (503, 'stopping\n'))
        same(get(PORT, '/healthz')[0], 200)
        assert echoes(c)
    s.wait_state('inactive')


def wait_ready(at):
    """Who comes first starts it, and may be told that it is only starting."""
    def look():
        said = get(at, '/readyz', seconds=20)[::2]
        assert said in ((200, 'ok\n'), (503, 'starting\n')), said
        return said[0] == 200
    eventually(look, 20)


def with_sockets(t, *more):
    """The service with systemd's sockets: for clients, and for us."""
    unix = '/run/spliced-http'
    s = Service(t, admin(f'127.0.0.1:{PORT}', 'unix:' + unix, *more),
                start=False)
    socket_unit(s, SOCKET, 'FileDescriptorName=lan',
                'ListenStream=127.0.0.1:1080')
    socket_unit(s, 'spliced-admin.socket', 'FileDescriptorName=admin',
                f'ListenStream=127.0.0.1:{PORT}', f'ListenStream={unix}',
                service=True)
    s.box.systemctl('start', SOCKET, 'spliced-admin.socket')
    return s, s.box.path(unix)


def test_systemd_may_open_its_sockets(t):
    s, unix = with_sockets(t)
    same(s.show()['ActiveState'], 'inactive')
    sockets = listening(PORT)
    inode = os.stat(unix).st_ino
    wait_ready(PORT)
    same(get(unix, '/readyz')[0], 200)
    s.wait_state('active')
    o = Origin(t, echo)
    for turn in (s.reload, s.restart, s.reload):
        with tunnel(ADDRESS, o.target) as c:
            assert echoes(c)
        turn()
        for at in (PORT, unix):
            same(get_json(at, '/status.json')['state'], 'serving')
    same(len(sockets), 1)
    same(listening(PORT), sockets)
    same(os.stat(unix).st_ino, inode)
    mended(s)
    # They wait for it while it is not there.
    s.stop()
    same(listening(PORT), sockets)
    wait_ready(unix)
    same(get(PORT, '/readyz')[0], 200)


def test_its_sockets_live_through_a_crash(t):
    s, unix = with_sockets(t)
    wait_ready(PORT)
    main, generation = s.main(), s.generation()
    sockets = listening(PORT)
    os.kill(main, signal.SIGKILL)
    eventually(lambda: not proc.alive(generation))
    wait_ready(PORT)
    same(get(unix, '/readyz')[0], 200)
    s.wait_new(main)
    same(listening(PORT), sockets)
    mended(s)


def test_a_socket_that_nobody_wants_any_more_is_told(t):
    s, unix = with_sockets(t)
    wait_ready(PORT)
    s.configure()
    s.reload()
    s.wait_message(rf'127\.0\.0\.1:{PORT} is no listener\'s any more')
    s.configure(admin(f'127.0.0.1:{PORT}', 'unix:/run/spliced-http'))
    s.reload()
    same([get(at, '/readyz')[0] for at in (PORT, unix)], [200, 200])


def test_its_own_sockets_stay_beside_those_of_systemd(t):
    s, unix = with_sockets(t, 'unix:' + PATH, '127.0.0.1:9181')
    wait_ready(PORT)
    own = listening(9181)
    for turn in (s.reload, s.restart):
        turn()
        for at in (PORT, unix, s.box.path(PATH), 9181):
            same(get(at, '/readyz')[0], 200)
        same(listening(9181), own)  # in the store, over a restart
    mended(s)
