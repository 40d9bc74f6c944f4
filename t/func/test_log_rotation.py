"""Log files under logrotate(8) itself, while sessions come and go."""
import glob
import os
import re
import threading

from lib.case import each, eventually, fewer, patient, same, tool
from lib.client import echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo

CONFIG = """
%(path)s {
    rotate 20
    size 1
    %(how)s
    missingok
    %(owner)s
    postrotate
        kill -USR1 %(pid)d
    endscript
}
"""


class Load:
    """Sessions, one after the other, each of another length."""

    def __init__(self, t, d):
        self.address, self.origin = d.address, Origin(t, echo)
        self.count, self.over = 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        t.defer(self.stop)

    def run(self):
        while not self.over:
            with tunnel(self.address, self.origin.target) as s:
                assert echoes(s, b'x' * (self.count + 1))
            self.count += 1

    def stop(self):
        self.over = True
        self.thread.join()
        return self.count

    def wait(self, more):
        wanted = self.count + more
        eventually(lambda: self.count >= wanted, patient(20), 'more sessions')


def logrotate(t, d, path, how):
    root = os.geteuid() == 0
    config = t.file('logrotate.conf', CONFIG % {
        'path': path, 'how': how, 'pid': d.pid,
        # A folder that somebody else may write to is refused without it.
        'owner': 'su nobody nogroup' if root else ''}, 0o644)
    done = t.run(tool('logrotate', 'logrotate'), '--force', '--state',
                 t.path('state'), config)
    same(done.returncode, 0)


def lengths(path):
    """Of all sessions in all files of the log; each line is a whole one."""
    found = []
    for name in glob.glob(path + '*'):
        with open(name, encoding='ascii') as f:
            for line in f:
                assert re.fullmatch(r'\d{4}-\d\d-\d\dT\S+Z [a-z]+ .+\n',
                                    line), line
                m = re.search(r' access event=disconnect .* up=(\d+) ', line)
                if m:
                    found.append(int(m[1]))
    return sorted(found)


@each('create', 'nocreate')
def test_no_line_is_lost_by_rotation(t, how):
    tool('logrotate', 'logrotate')
    folder = t.folder('log', 'nobody')
    path = os.path.join(folder, 'spliced.log')
    d = Daemon(t, {'log': {'target': 'file:' + path}})
    load = Load(t, d)
    rounds = fewer(5, 2)
    for i in range(rounds):
        load.wait(10)
        before = os.stat(path).st_ino
        logrotate(t, d, path, how)
        eventually(lambda: os.path.exists(path) and
                   os.stat(path).st_ino != before and
                   os.stat(path).st_size > 0, patient(10),
                   'the new file is written')
        same(len(glob.glob(path + '.*')), i + 1)
        # It belongs to who writes it, and not to everybody.
        same(os.stat(path).st_mode & 0o007, 0)
    load.wait(10)
    count = load.stop()
    d.wait_rest()
    d.stop()
    same(lengths(path), list(range(1, count + 1)))
    assert 'were lost' not in d.log()


def test_what_came_after_the_rename_is_in_the_old_file(t):
    folder = t.folder('log', 'nobody')
    path = os.path.join(folder, 'spliced.log')
    d = Daemon(t, {'log': {'target': 'file:' + path}})
    o = Origin(t, echo)
    os.rename(path, path + '.1')
    with tunnel(d.address, o.target) as s:
        assert echoes(s, b'x' * 333)
    eventually(lambda: lengths(path) == [333], said='a line')
    assert not os.path.exists(path)
