"""Three parsers of HTTP/1 asked what a message is: ours, libhttp-parser (the
one that Node had) and llhttp (the one that Node has).

ask_*(t, messages) takes (letter, bytes) as t/helper/httpsay.c does and returns
a Said for each.
"""
import collections
import ctypes
import struct

from lib.case import Skip, tool

# how: whole, more (it goes on), bad.  end: bytes of the message.  word: the
# method or the status.  fields: pairs in lower case.  Of a bad one, and of one
# whose head goes on, only `how` counts.
Said = collections.namedtuple('Said', 'how end minor word content fields')
BAD = Said('bad', 0, 0, '', b'', ())
MORE = Said('more', 0, 0, '', b'', ())


def read_said(letter, line):
    """A line of httpsay.c's about a message."""
    words = line.split(' ')
    if len(words) < 5 or words[0] == 'bad':
        return BAD if words[0] == 'bad' else MORE
    how, end, minor, word, content = words[:5]
    fields = (x.split(':') for x in words[5:])
    return Said(how, int(end), int(minor),
                word if letter != 'q' else
                bytes.fromhex(word).decode('latin-1'),
                bytes.fromhex(content),
                tuple((bytes.fromhex(n).decode('latin-1').lower(),
                       bytes.fromhex(v).decode('latin-1'))
                      for n, v in fields))


def pack(messages):
    return b''.join(letter.encode() + struct.pack('>I', len(text)) + text
                    for letter, text in messages)


def asked(t, command, messages):
    path = t.file('messages', pack(messages))
    with open(path, 'rb') as f:
        p = t.run(*command, stdin=f, seconds=60)
    assert p.returncode == 0, p.stderr
    lines = p.stdout.decode().splitlines()
    assert len(lines) == len(messages), (len(lines), p.stderr)
    return [read_said(m[0], x) for m, x in zip(messages, lines)]


def ask_ours(t, messages):
    return asked(t, [t.helper('httpsay')], messages)


# Fed byte by byte: that is how to learn where a message ends.
NODE = r'''
process.emitWarning = () => {};
const fs = require('fs');
const b = process.binding('http_parser');
const P = b.HTTPParser, methods = b.allMethods || b.methods;
const input = fs.readFileSync(0), out = [];
const hex = (x) => Buffer.from(x, 'latin1').toString('hex');
for (let at = 0; at < input.length;) {
  const letter = String.fromCharCode(input[at]);
  const len = input.readUInt32BE(at + 1);
  const p = new P();
  let head = null, fields = [], content = [], whole = false, bad = false;
  p.initialize(letter === 'q' ? P.REQUEST : P.RESPONSE, {});
  p[P.kOnHeaders] = (f) => { if (!head) fields = fields.concat(f); };
  p[P.kOnHeadersComplete] = (major, minor, f, method, url, status) => {
    if (f) fields = fields.concat(f);
    head = [minor, letter === 'q' ? hex(methods[method]) : status];
    return letter === 'h' ? 1 : 0;
  };
  p[P.kOnBody] = (x, from, n) => {
    content.push(Buffer.from(from === undefined ? x :
                             x.subarray(from, from + n)));
  };
  p[P.kOnMessageComplete] = () => { whole = true; };
  at += 5;
  let i = 0;
  while (i < len && !whole && !bad) {
    bad = p.execute(input.subarray(at + i, at + i + 1)) instanceof Error;
    i++;
  }
  at += len;
  if (bad && !whole) out.push('bad');
  else if (!head) out.push('more');
  else {
    const f = [];
    for (let k = 0; k < fields.length; k += 2)
      f.push(hex(fields[k]) + ':' + hex(fields[k + 1].replace(
        /^[ \t]+|[ \t]+$/g, '')));
    out.push([whole ? 'whole' : 'more', i, ...head,
              Buffer.concat(content).toString('hex'), ...f].join(' '));
  }
}
fs.writeSync(1, out.join('\n') + '\n');
'''


def ask_llhttp(t, messages):
    return asked(t, [tool('node', 'nodejs'), '--no-warnings', '-e', NODE],
                 messages)


class Parser(ctypes.Structure):
    """struct http_parser of http_parser.h 2.9."""
    _fields_ = [('private', ctypes.c_uint32), ('nread', ctypes.c_uint32),
                ('length', ctypes.c_uint64), ('major', ctypes.c_ushort),
                ('minor', ctypes.c_ushort), ('bits', ctypes.c_uint32),
                ('ctx', ctypes.c_void_p)]


NOTE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Parser))
TEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Parser),
                        ctypes.c_void_p, ctypes.c_size_t)


class Settings(ctypes.Structure):
    """struct http_parser_settings."""
    _fields_ = [('begin', NOTE), ('url', TEXT), ('status', TEXT),
                ('name', TEXT), ('value', TEXT), ('head', NOTE),
                ('body', TEXT), ('end', NOTE), ('chunk', NOTE),
                ('chunk_end', NOTE)]


PAUSED = 31  # HPE_PAUSED


class OldParser:
    """One message after the other, through libhttp-parser."""

    def __init__(self):
        try:
            self.lib = ctypes.CDLL('libhttp_parser.so.2.9')
        except OSError as e:
            raise Skip('libhttp_parser is missing: '
                       'apt-get install libhttp-parser2.9') from e
        self.lib.http_parser_execute.restype = ctypes.c_size_t
        self.lib.http_method_str.restype = ctypes.c_char_p
        self.lib.http_errno_name.restype = ctypes.c_char_p
        self.settings = Settings(
            name=TEXT(self.on_name), value=TEXT(self.on_value),
            head=NOTE(self.on_head), body=TEXT(self.on_body),
            end=NOTE(self.on_end))

    def on_name(self, _, at, n):
        if not self.is_head:
            self.fields.append([ctypes.string_at(at, n), b''])
        return 0

    def on_value(self, _, at, n):
        if not self.is_head:
            self.fields[-1][1] += ctypes.string_at(at, n)
        return 0

    def on_head(self, _):
        self.is_head = True
        return int(self.letter == 'h')

    def on_body(self, _, at, n):
        self.content += ctypes.string_at(at, n)
        return 0

    def on_end(self, p):
        self.whole = True
        self.lib.http_parser_pause(p, 1)
        return 0

    def ask(self, letter, text):
        self.letter, self.fields, self.content = letter, [], b''
        self.is_head = self.whole = False
        p = Parser()
        self.lib.http_parser_init(ctypes.byref(p), int(letter != 'q'))
        end = self.lib.http_parser_execute(
            ctypes.byref(p), ctypes.byref(self.settings), text,
            ctypes.c_size_t(len(text)))
        error = p.bits >> 24 & 127
        if error and not self.whole:
            return BAD
        if not self.is_head:
            return MORE
        word = (str(p.bits & 0xffff) if letter != 'q' else
                self.lib.http_method_str(p.bits >> 16 & 255).decode())
        return Said('whole' if self.whole else 'more', end, p.minor, word,
                    self.content,
                    tuple((n.decode('latin-1').lower(),
                           v.decode('latin-1').strip(' \t'))
                          for n, v in self.fields))


def ask_old(_t, messages):
    parser = OldParser()
    return [parser.ask(*x) for x in messages]
