"""spliced-pam, handed its socket as a socket unit would, and files of PAM."""
import os
import shlex
import socket
import subprocess

from .case import EXTERNAL, SANITIZED, VALGRIND, Skip, eventually, patient, tool


class Helper:
    """One that runs in a mount namespace of its own, with its own /etc.

    `pam` are files of /etc/pam.d by name, `etc` others of /etc.
    """

    def __init__(self, t, pam=None, etc=None, user='nobody', idle=0):
        if EXTERNAL:
            raise Skip('needs the daemon itself')
        if os.geteuid():
            raise Skip('only root reads shadow(5), and mounts')
        self.t = t
        self.path = t.path('pam')
        self.process = None
        self.log_path = t.path('spliced-pam.log')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.path)
        self.socket.listen(256)
        os.chmod(self.path, 0o666)
        os.chmod(t.dir, 0o755)
        self.files = self.write('pam.d', pam or {})
        self.binds = [(self.files, '/etc/pam.d')]
        for name, text in (etc or {}).items():
            source = t.file('etc-' + name, text, 0o600)
            if name in ('passwd', 'group'):
                os.chmod(source, 0o644)
            self.binds.append((source, '/etc/' + name))
        self.command = [os.path.join(t.build, 'spliced-pam'), '--user', user,
                        '--idle', str(idle)]
        t.defer(self.end)

    def write(self, folder, files):
        path = self.t.folder(folder)
        for name, text in files.items():
            with open(os.path.join(path, name), 'w', encoding='ascii') as f:
                f.write(text)
        return path

    def start(self):
        mounts = ''.join(f'mount --bind {shlex.quote(a)} {b} && '
                         for a, b in self.binds)
        script = (f'{mounts}LISTEN_FDS=1 LISTEN_PID=$$ exec '
                  f'{shlex.join(self.command)}')
        fd = self.socket.fileno()
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                [tool('unshare', 'util-linux'), '--mount', '--propagation',
                 'private', 'sh', '-c', f'exec 3<&{fd}; {script}'
                 if fd != 3 else script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[fd])
        return self

    def log(self):
        with open(self.log_path, encoding='utf-8') as f:
            return f.read()

    def end(self):
        if self.process:
            self.process.terminate()
            self.process.wait(patient(10))
        self.socket.close()
        log = self.log() if os.path.exists(self.log_path) else ''
        assert 'Sanitizer' not in log and 'runtime error' not in log, log
