"""TLS listeners: proxies by https and SOCKS over TLS, certificates as data."""
import os
import re
import signal
import socket
import ssl
import subprocess

from lib import client, conf
from lib.case import each, eventually, patient, same, timeout, tool
from lib.client import (dial, echoes, http_request, read_exact, read_to_end,
                        socks5_greet, socks5_request, socks5_reply)
from lib.control import fails
from lib.daemon import Daemon, check
from lib.origin import Origin, echo
from lib.tls import Certificate, context, openssl


def entry(certificate, **changes):
    return {'name': 'edge', 'certificate': certificate.path,
            'key': certificate.key, **changes}


def served(certificate, more=None, **changes):
    """Changes for a daemon whose one listener has TLS."""
    return {'tls': [entry(certificate, **changes)],
            'listeners': [conf.listener(tls='edge', **(more or {}))]}


def wrapped(d, name='localhost', session=None, version=None, **options):
    """A connection to it after its handshake."""
    s = dial(d.address)
    try:
        return context(version, **options).wrap_socket(
            s, server_hostname=name, session=session)
    except BaseException:
        s.close()
        raise


def ask_socks5(s, target):
    same(socks5_greet(s), b'\5\0')
    s.sendall(socks5_request(*target))
    return socks5_reply(s).code


def tunnel(d, o, **options):
    """One that has been tried."""
    s = wrapped(d, **options)
    same(ask_socks5(s, o.target), client.SUCCEEDED)
    assert echoes(s)
    return s


def shown(d, name='localhost'):
    """The certificate that a client is shown."""
    with wrapped(d, name) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).strip()


def pem(certificate):
    with open(certificate.path, encoding='ascii') as f:
        return f.read().strip()


def refresh(d):
    done = d.control.run('refresh')
    same((done.returncode, done.err), (0, ''))


# --- Protocols --------------------------------------------------------------

@each('1.2', '1.3')
def test_socks_over_tls(t, version):
    c = Certificate(t)
    d = Daemon(t, served(c))
    o = Origin(t, echo)
    with tunnel(d, o, version=version, ca=c) as s:
        same(s.version(), 'TLSv' + version)
        data = client.noise(1 << 20)
        s.sendall(data[:1000])
        same(read_exact(s, 1000), data[:1000])
    d.wait_access(protocol='socks5', outcome='closed')
    d.assert_polled()
