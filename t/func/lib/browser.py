"""Chromium without a window, steered by its own protocol over two pipes."""
import base64
import contextlib
import json
import os
import shutil
import subprocess
import threading

from .case import eventually, patient, tool
from .clients import CLEAN

FLAGS = ('--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update',
         '--disable-sync', '--disable-dev-shm-usage', '--hide-scrollbars',
         '--disable-extensions', '--remote-debugging-pipe')


class Browser:
    """One that runs until the test's end, with one page of `size`."""

    def __init__(self, t, *flags, size=(1600, 1000),
                 program='chromium-headless-shell'):
        program = tool(program, program)
        profile = t.folder('profile')
        t.defer(shutil.rmtree, profile, True)
        theirs, ours = os.pipe(), os.pipe()
        # It reads descriptor 3 and writes to 4.
        self.process = t.start(
            '/bin/bash', '-c', f'exec "$@" 3<&{theirs[0]} 4>&{ours[1]}',
            'bash', program, *FLAGS, f'--user-data-dir={profile}', *flags,
            env={**CLEAN, 'HOME': t.dir}, pass_fds=(theirs[0], ours[1]),
            stdout=subprocess.DEVNULL)
        os.close(theirs[0])
        os.close(ours[1])
        self.out, self.into = os.fdopen(theirs[1], 'wb'), ours[0]
        self.count = 0
        self.answers, self.errors = {}, []
        self.came = threading.Condition()
        self.session = None
        threading.Thread(target=self.read, daemon=True).start()
        t.defer(self.close)
        target = self.call('Target.createTarget', url='about:blank')
        self.session = self.call('Target.attachToTarget', flatten=True,
                                 **target)['sessionId']
        self.call('Page.enable')
        self.call('Runtime.enable')
        self.call('Log.enable')
        self.resize(*size)

    def close(self):
        with contextlib.suppress(OSError):
            self.out.close()  # which ends it

    def read(self):
        """Takes messages, each with a NUL behind it, until its end."""
        rest = b''
        while True:
            data = os.read(self.into, 1 << 20)
            if not data:
                break
            *whole, rest = (rest + data).split(b'\0')
            with self.came:
                for message in map(json.loads, whole):
                    self.take(message)
                self.came.notify_all()
        os.close(self.into)

    def take(self, message):
        what = message.get('method')
        if 'id' in message:
            self.answers[message['id']] = message
        elif what == 'Runtime.exceptionThrown':
            self.errors.append(json.dumps(message['params']))
        elif what == 'Log.entryAdded' and \
                message['params']['entry']['level'] == 'error':
            self.errors.append(message['params']['entry']['text'])

    def call(self, method, **params):
        """What the browser answers to a command of its protocol."""
        self.count += 1
        number = self.count
        words = {'id': number, 'method': method, 'params': params}
        if self.session:
            words['sessionId'] = self.session
        self.out.write(json.dumps(words).encode() + b'\0')
        self.out.flush()
        with self.came:
            assert self.came.wait_for(lambda: number in self.answers,
                                      patient(20)), f'no answer to {method}'
            answer = self.answers.pop(number)
        assert 'error' not in answer, answer
        return answer['result']

    def open(self, url):
        self.call('Page.navigate', url=url)

    def resize(self, width, height):
        self.call('Emulation.setDeviceMetricsOverride', width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 500)

    def prefer(self, **features):
        """For example color_scheme='dark'."""
        self.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-' + k.replace('_', '-'), 'value': v}
            for k, v in features.items()])

    def value(self, script):
        """The value of an expression in the page."""
        got = self.call('Runtime.evaluate', expression=script,
                        returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in got, got
        return got['result'].get('value')

    def wait(self, script, seconds=10):
        """Waits until it is true."""
        def look():
            with contextlib.suppress(AssertionError):  # between two pages
                return self.value(script)
        return eventually(look, seconds,
                          lambda: f'{script}; errors {self.errors}; '
                                  f'{self.value("document.body.innerText")}')

    def press(self, key):
        """Tab or Enter."""
        code, text = {'Tab': (9, ''), 'Enter': (13, '\r')}[key]
        for kind in ('keyDown' if text else 'rawKeyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                      text=text, windowsVirtualKeyCode=code)

    def picture(self, path, whole=False):
        """Writes a PNG of what is seen, or of the whole page."""
        got = self.call('Page.captureScreenshot', format='png',
                        captureBeyondViewport=whole)
        with open(path, 'wb') as f:
            f.write(base64.b64decode(got['data']))
