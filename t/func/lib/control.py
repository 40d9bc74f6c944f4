"""The control socket of a daemon: by hand, and through splicedctl."""
import json
import os
import re
import socket
import time

from .case import patient


def fails(done, status, pattern):
    """What run() returns says no, and why."""
    assert done.returncode == status, \
        f'exit status {done.returncode}: {done.out}{done.err}'
    assert re.search(pattern, done.err), f'{pattern!r}: {done.err!r}'


class Control:
    """Asks the master that listens at `path`."""

    def __init__(self, t, path):
        self.t = t
        self.path = path

    def run(self, *words, seconds=30):
        """Runs splicedctl to its end."""
        program = os.path.join(self.t.build, 'splicedctl')
        done = self.t.run(program, '--socket', self.path, *words,
                          seconds=seconds)
        done.out = done.stdout.decode('utf-8', 'replace')
        done.err = done.stderr.decode('utf-8', 'replace')
        self.t.count += 1
        self.t.file(f'{self.t.count}-splicedctl.log',
                    f'$ splicedctl {" ".join(words)}\n{done.out}{done.err}'
                    f'exit status {done.returncode}\n')
        return done

    def connect(self, seconds=10):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(patient(seconds))
        try:
            s.connect(self.path)
        except OSError:
            s.close()
            raise
        return s

    def ask(self, line, seconds=10):
        """The answer to one line, up to what says that it is done."""
        lines = []
        with self.connect(seconds) as s, s.makefile('rb') as answer:
            s.sendall(line.encode() + b'\n')
            for text in answer:
                lines.append(json.loads(text))
                if lines[-1].get('done'):
                    return lines
        raise EOFError(f'{line!r} got {lines}')

    def look(self, verb):
        """The same for what only looks: again if it hangs up on us.

        A master that is replaced by another program forgets its clients.
        """
        for _ in range(3):
            try:
                return self.ask(verb)
            except (ConnectionError, EOFError):
                time.sleep(0.05)
        return self.ask(verb)

    def generations(self):
        """The generations as dicts, the oldest first."""
        return [g for g in self.look('generations') if 'pid' in g]

    def status(self):
        """All that "status" tells, as one dict."""
        found = {}
        for part in self.look('status'):
            found.update(part)
        return found
