"""Messages of HTTP/1 that are valid, or wrong in one known place.

valid(random) makes one; WRONG maps what is wrong to a function that makes one
with that; each returns (letter, bytes) as lib.http_parsers takes them.
"""

METHODS = ('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH',
           'PROPFIND')
HOSTS = ('example.com', 'a', 'www.example.com:8080', '192.0.2.1',
         '[2001:db8::1]', '[::1]:81', 'Example.COM', 'x_y-z.example')
PATHS = ('/', '/a/b.html', '/?q=1', '/a?b=c&d=%20', "/~u/;p=1,2/!$'()*+@:",
         '', '?x')
NAMES = ('Accept', 'User-Agent', 'X-Y', 'Cookie', 'a', "!#$%&'*+-.^_`|~0")
VALUES = ('', 'b', '*/*', 'text/html; q="0.5", x', 'a\tb  c', '\xe4\xff',
          '=?:;,()<>@[]{}\\"/')
STATUSES = ('200 OK', '404 Not Found', '304 Not Modified', '204 No Content',
            '500 ', '301 Moved  \xe4', '103 Early Hints', '206 x')
EMPTY = ('103', '204', '304')
EXTENSIONS = ('', '', '', ';a', ';a=b', ';a="b;\\" c"')
CONTENT = bytes(range(256)) + b'\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n'


class Message:
    """Its parts, to be changed before they are put together."""

    def __init__(self, random, letter=None, chunked=None, minor=None):
        self.random = random
        pick = random.choice
        self.letter = letter or pick('qqqssh')
        self.minor = minor if minor is not None else pick((1, 1, 1, 0))
        self.fields = [(pick(NAMES), pick(VALUES))
                       for _ in range(random.randrange(4))]
        self.version = f'HTTP/1.{self.minor}'
        self.before, self.tail = '', b''
        self.trailers = []
        self.chunks = None
        self.content = b''
        if self.letter == 'q':
            self.host = pick(HOSTS)
            self.method = pick(METHODS)
            self.target = f'http://{self.host}{pick(PATHS)}'
            if not self.minor or random.random() < 0.9:
                self.fields.insert(0, ('Host', self.host))
            if not any(n == 'Host' for n, _ in self.fields):
                self.fields.append(('hOsT', self.host))
        else:
            self.status = pick(STATUSES)
        if chunked is None:
            chunked = self.minor and random.random() < 0.4
        # No parser agrees with another on content of these.
        if self.letter == 'q' or self.status[:3] not in EMPTY:
            self.body(chunked)
        if random.random() < 0.3:
            self.tail = b'GET / HTTP/1.1\r\n'

    def body(self, chunked):
        content = CONTENT[:self.random.randrange(len(CONTENT))]
        if chunked:
            self.chunks = [(f'{len(x):x}', self.random.choice(EXTENSIONS), x)
                           for x in (content[:5], content[5:]) if x]
            self.chunks.append(('0', self.random.choice(EXTENSIONS), None))
            self.fields.append(('Transfer-Encoding', 'chunked'))
            if self.random.random() < 0.3:
                self.trailers.append('X-Trailer: a')
        elif self.random.random() < 0.7:
            self.content = content
            self.fields.append(('Content-Length', str(len(content))))

    def head(self):
        if self.letter == 'q':
            line = f'{self.method} {self.target} {self.version}'
        else:
            line = f'{self.version} {self.status}'
        return [line] + [f'{n}: {v}' for n, v in self.fields]

    def chunk_lines(self):
        out = b''
        for size, extension, content in self.chunks:
            out += f'{size}{extension}\r\n'.encode('latin-1')
            out += content + b'\r\n' if content is not None else b''
        for line in self.trailers:
            out += line.encode('latin-1') + b'\r\n'
        return out + b'\r\n'

    def bytes(self, lines=None):
        head = '\r\n'.join(lines or self.head())
        body = self.chunk_lines() if self.chunks else self.content
        return (self.letter, f'{self.before}{head}\r\n\r\n'.encode('latin-1') +
                body + self.tail)


def valid(random):
    return Message(random).bytes()


def field(line, letter=None, minor=1):
    """One more field line."""
    def make(random):
        m = Message(random, letter, minor=minor, chunked=False)
        lines = m.head()
        lines.insert(random.randrange(1, len(lines) + 1), line)
        return m.bytes(lines)
    return make


def framed(*fields, letter=None, minor=1, status='200 OK'):
    """These fields in the place of what says how long the body is."""
    def make(random):
        m = Message(random, letter, minor=minor, chunked=False)
        if m.letter != 'q':
            m.letter, m.status = letter or 's', status
        m.fields = [x for x in m.fields if x[0] != 'Content-Length']
        m.fields += fields
        m.content = b'5\r\nhello\r\n0\r\n\r\n'
        return m.bytes()
    return make


def changed(letter, minor=None, chunked=False, **parts):
    """Other parts of the first line."""
    def make(random):
        m = Message(random, letter, chunked=chunked, minor=minor)
        m.__dict__.update(parts)
        return m.bytes()
    return make


def in_chunks(was, becomes):
    """Within a chunked body of known chunks, another text once."""
    def make(random):
        m = Message(random, random.choice('qs'), chunked=True, minor=1)
        if m.letter == 's':
            m.status = '200 OK'
        m.chunks = [('5', ';a', b'hello'), ('1', '', b' '), ('0', '', None)]
        m.trailers = ['X: y']
        letter, text = m.bytes()
        body = m.chunk_lines()
        assert was in body
        return letter, text.replace(body, body.replace(was, becomes, 1), 1)
    return make


def no_host(random):
    m = Message(random, 'q', minor=1)
    m.fields = [x for x in m.fields if x[0].lower() != 'host']
    return m.bytes()


def line_end(becomes):
    """One line of the head ends in something else."""
    def make(random):
        letter, text = Message(random, chunked=False).bytes()
        head = text[:text.index(b'\r\n\r\n') + 2]
        places = [i for i in range(len(head)) if head[i:i + 2] == b'\r\n']
        at = random.choice(places)
        return letter, text[:at] + becomes + text[at + 2:]
    return make


def cut(random):
    letter, text = Message(random).bytes()
    return letter, text[:random.randrange(len(text))]


def any_byte(random):
    letter, text = Message(random).bytes()
    at = random.randrange(len(text))
    new = bytes([random.choice(b'\0\t\n\r "#%,/0:;<=@[\\]a\x7f\x80')])
    return letter, random.choice((
        text[:at] + new + text[at + 1:], text[:at] + new + text[at:],
        text[:at] + text[at + 1:]))


WRONG = {
    'nothing': valid,
    'it is cut off': cut,
    'an LF ends a line': line_end(b'\n'),
    'a CR ends a line': line_end(b'\r'),
    'two CR end a line': line_end(b'\r\r\n'),
    'a folded line': field('A: b\r\n c'),
    'a folded line in a response': field('A: b\r\n\tc', 's'),
    'space before the colon': field('A : b', 'q'),
    'space before the colon of a response': field('A : b', 's'),
    'a space in a name': field('A b: c'),
    'no colon': field('A'),
    'no name': field(': a'),
    'a line of a space': field(' '),
    'a NUL in a value': field('A: b\0c'),
    'a control character in a value': field('A: b\x01c'),
    'a CR in a value': field('A: b\rc'),
    'a DEL in a value': field('A: b\x7fc'),
    'a bracket in a name': field('A(: b'),
    'a quote in a name': field('A": b'),
    'no ASCII in a name': field('\xc3\xa4: b'),
    'two equal lengths': framed(('Content-Length', '15'),
                                ('Content-Length', '15')),
    'two lengths': framed(('Content-Length', '15'), ('content-length', '5')),
    'a list of lengths': framed(('Content-Length', '15, 15')),
    'a length with a sign': framed(('Content-Length', '+15')),
    'a length below 0': framed(('Content-Length', '-1')),
    'a hexadecimal length': framed(('Content-Length', '0xf')),
    'no length in its field': framed(('Content-Length', '')),
    'a length and more': framed(('Content-Length', '15 x')),
    'a length of two words': framed(('Content-Length', '1 5')),
    'zeros before a length': framed(('Content-Length', '00015')),
    'a length beyond 63 bits': framed(('Content-Length',
                                       '9223372036854775808')),
    'a length beyond 64 bits': framed(('Content-Length',
                                       '18446744073709551631')),
    'a length and chunks': framed(('Content-Length', '15'),
                                  ('Transfer-Encoding', 'chunked')),
    'chunks and a length': framed(('Transfer-Encoding', 'chunked'),
                                  ('Content-Length', '15')),
    'another coding': framed(('Transfer-Encoding', 'gzip')),
    'another coding and chunks': framed(('Transfer-Encoding',
                                         'gzip, chunked')),
    'chunks and another coding': framed(('Transfer-Encoding',
                                         'chunked, gzip')),
    'chunks twice': framed(('Transfer-Encoding', 'chunked'),
                           ('Transfer-Encoding', 'chunked')),
    'the coding identity': framed(('Transfer-Encoding', 'identity')),
    'a coding like chunked': framed(('Transfer-Encoding', 'xchunked')),
    'chunked in quotes': framed(('Transfer-Encoding', '"chunked"')),
    'a comma behind chunked': framed(('Transfer-Encoding', 'chunked,')),
    'no coding in its field': framed(('Transfer-Encoding', '')),
    'chunks in HTTP/1.0': framed(('Transfer-Encoding', 'chunked'), minor=0),
    'a length where no content is': framed(('Content-Length', '15'),
                                           letter='s', status='204 x'),
    'chunks where no content is': framed(('Transfer-Encoding', 'chunked'),
                                         letter='s', status='304 x'),
    'a length in a response to HEAD': framed(('Content-Length', '15'),
                                             letter='h'),
    'no Host': no_host,
    'two Hosts': field('Host: a', 'q'),
    'a space in Host': changed('q', 0, fields=[('Host', 'a b')]),
    'a login twice': field('Proxy-Authorization: a\r\n'
                           'Proxy-Authorization: b', 'q'),
    'an unknown method': changed('q', method='GETX'),
    'a method in lower case': changed('q', method='get'),
    'a method with a bracket': changed('q', method='GE(T'),
    'HTTP/2.0': changed('q', version='HTTP/2.0'),
    'HTTP/0.9': changed('q', version='HTTP/0.9'),
    'HTTP/1.2': changed('q', 1, version='HTTP/1.2'),
    'HTTP/1': changed('q', version='HTTP/1'),
    'HTTP/1.10': changed('q', version='HTTP/1.10'),
    'http/1.1': changed('q', version='http/1.1'),
    'space behind the version': changed('q', version='HTTP/1.1 '),
    'space before the version': changed('q', version=' HTTP/1.1'),
    'no version': changed('q', 0, version=''),
    'a tab before the target': changed('q', method='GET\t'),
    'space before the target': changed('q', method='GET '),
    'https': changed('q', target='https://a/'),
    'ftp': changed('q', target='ftp://a/'),
    'userinfo': changed('q', target='http://u:p@a/'),
    'a fragment': changed('q', target='http://a/b#c'),
    'an empty host': changed('q', target='http:///a'),
    'a port beyond 65535': changed('q', target='http://a:65536/'),
    'a port of letters': changed('q', target='http://a:b/'),
    'a number for a name': changed('q', target='http://0x7f.1/'),
    'a bracket that stays open': changed('q', target='http://[::1/'),
    'a percent in the host': changed('q', target='http://a%41/'),
    'an underscore in the host': changed('q', target='http://a_b/'),
    'a target without scheme': changed('q', target='a/b'),
    'an asterisk': changed('q', method='GET', target='*'),
    'odd bytes in the path': changed('q', target='http://a/{|}^`"<>\\'),
    'no ASCII in the path': changed('q', target='http://a/\xc3\xa4'),
    'a space in the path': changed('q', target='http://a/b c'),
    'a tab in the path': changed('q', target='http://a/b\tc'),
    'a control character in the path': changed('q', target='http://a/\x01'),
    'a DEL in the path': changed('q', target='http://a/\x7f'),
    'CONNECT': changed('q', 0, method='CONNECT', target='a:1', content=b'',
                       fields=[]),
    'CONNECT with a length': changed(
        'q', 0, method='CONNECT', target='a:1', content=b'hello',
        fields=[('Content-Length', '5')]),
    'CONNECT without a port': changed('q', method='CONNECT', target='a',
                                      content=b'', minor=0, fields=[]),
    'CONNECT with a path': changed('q', method='CONNECT', target='a:1/',
                                   content=b'', minor=0, fields=[]),
    'an empty line before': changed('q', before='\r\n'),
    'two empty lines before': changed('q', before='\r\n\r\n'),
    'an LF before': changed('q', before='\n'),
    'a space before': changed('q', before=' '),
    'an empty line before a response': changed('s', before='\r\n'),
    'a status of two digits': changed('s', status='20 OK'),
    'a status of four digits': changed('s', status='2000 OK'),
    'a status below 100': changed('s', status='099 OK'),
    'a status of letters': changed('s', status='2x0 OK'),
    'no reason': changed('s', status='200'),
    'a control character in the reason': changed('s', status='200 O\x01K'),
    'an LF in the reason': changed('s', status='200 O\nK'),
    'ICY': changed('s', version='ICY'),
    'HTTP/2.0 in a response': changed('s', version='HTTP/2.0'),
    'HTTP/0.9 in a response': changed('s', version='HTTP/0.9'),
    'a size without digits': in_chunks(b'5;a', b'g'),
    'an empty size': in_chunks(b'5;a', b''),
    'a size below 0': in_chunks(b'5;a', b'-5'),
    'a size with a sign': in_chunks(b'5;a', b'+5'),
    'a size with 0x': in_chunks(b'5;a', b'0x5'),
    'a size beyond 64 bits': in_chunks(b'5;a', b'10000000000000005'),
    'zeros before a size': in_chunks(b'5;a', b'0005'),
    'space behind a size': in_chunks(b'5;a', b'5 '),
    'space before a size': in_chunks(b'5;a', b' 5'),
    'space before an extension': in_chunks(b'5;a', b'5 ;a'),
    'space in an extension': in_chunks(b'5;a', b'5; a = b'),
    'space behind an extension': in_chunks(b'5;a', b'5;a '),
    'an empty extension': in_chunks(b'5;a', b'5;'),
    'two semicolons': in_chunks(b'5;a', b'5;;a'),
    'an extension without a name': in_chunks(b'5;a', b'5;=b'),
    'an extension without a value': in_chunks(b'5;a', b'5;a='),
    'a bracket in an extension': in_chunks(b'5;a', b'5;a(b'),
    'an open quote': in_chunks(b'5;a', b'5;a="b'),
    'an LF in an extension': in_chunks(b'5;a', b'5;a\nb'),
    'a CR in an extension': in_chunks(b'5;a', b'5;a\rb'),
    'a NUL in an extension': in_chunks(b'5;a', b'5;a\0b'),
    'an LF behind a size': in_chunks(b'1\r\n', b'1\n'),
    'a CR behind a size': in_chunks(b'1\r\n', b'1\r'),
    'nothing behind a chunk': in_chunks(b'hello\r\n', b'hello'),
    'an LF behind a chunk': in_chunks(b'hello\r\n', b'hello\n'),
    'more than a chunk': in_chunks(b'hello', b'hello!'),
    'less than a chunk': in_chunks(b'hello', b'hell'),
    'a folded trailer': in_chunks(b'X: y', b'X: y\r\n z'),
    'space before a trailer\'s colon': in_chunks(b'X: y', b'X : y'),
    'a length behind the body': in_chunks(b'X: y', b'Content-Length: 5'),
    'a coding behind the body': in_chunks(b'X: y',
                                          b'Transfer-Encoding: chunked'),
    'a Host behind the body': in_chunks(b'X: y', b'Host: a'),
    'a login behind the body': in_chunks(b'X: y',
                                         b'Proxy-Authorization: x'),
    'an LF behind a trailer': in_chunks(b'X: y\r\n', b'X: y\n'),
    'an LF at the end': in_chunks(b'y\r\n\r\n', b'y\r\n\n'),
}
