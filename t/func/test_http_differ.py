"""Our parser of HTTP/1 beside two others, on generated messages.

What all three take they must understand in the same way: where the message
ends, its content, its fields.  Where one takes what another refuses, or reads
it otherwise, the tables here say why.
"""
import collections
import random

from lib import http_messages, http_parsers
from lib.case import fewer, long

SEED = 'HTTP/1.1'

FOLDED = 'RFC 9112 5.2 lets a proxy refuse it in requests and responses'
CODING = 'it takes codings that it does not know; where such a body ends ' \
         'is anybody\'s guess (RFC 9112 6.1)'
TARGET = 'it does not look at what a proxy is to connect to'
HOST = 'it leaves Host to the application (RFC 9112 3.2 wants 400)'
VERSION = 'it leaves versions to the application'
REGISTERED = 'it knows the registered methods only'
TOLERANT = 'it forgives it'
EXTENSION = 'it does not read extensions (RFC 9112 7.1.1)'
TRAILER = 'it leaves trailers to the application; RFC 9110 6.5.1 forbids this'
BLANK = 'RFC 9112 7.1.1 allows white space here, since HTTP/1.1 did not say ' \
        'that there is none'
EMPTY = 'RFC 9112 6.3: no content, whatever fields say; it leaves that to ' \
        'the application'
LINES = 'it ends lines at an LF, too'
STATUS = 'RFC 9112 4: three digits, of which the first counts'
COLON = 'RFC 9112 5.1: a proxy takes it out of a response'

# What we refuse.
BOTH_TAKE = {
    CODING: ['another coding', 'another coding and chunks',
             'chunks and another coding', 'chunks twice',
             'the coding identity', 'a coding like chunked',
             'chunked in quotes', 'a comma behind chunked',
             'no coding in its field'],
    'RFC 9112 6.1: HTTP/1.0 has no codings': ['chunks in HTTP/1.0'],
    'content counts in 63 bits here': ['a length beyond 63 bits'],
    HOST: ['no Host', 'two Hosts', 'a space in Host'],
    'whose login counts?': ['a login twice'],
    VERSION: ['HTTP/2.0', 'HTTP/0.9', 'HTTP/2.0 in a response',
              'HTTP/0.9 in a response'],
    TARGET: ['https', 'ftp', 'userinfo', 'a fragment', 'an empty host',
             'a port beyond 65535', 'a port of letters',
             'a number for a name', 'a bracket that stays open',
             'a percent in the host', 'an asterisk',
             'CONNECT without a port', 'CONNECT with a path'],
    'RFC 9110 9.3.6: CONNECT has no content': ['CONNECT with a length'],
    TOLERANT: ['space before the version', 'space before the target',
               'two empty lines before', 'an LF before',
               'an empty line before a response',
               'a control character in the reason'],
    STATUS: ['a status below 100'],
    EXTENSION: ['two semicolons', 'an extension without a name',
                'an extension without a value'],
    TRAILER: ['a coding behind the body', 'a Host behind the body',
              'a login behind the body'],
}
OLD_TAKES = {
    LINES: ['an LF ends a line', 'an LF behind a trailer',
            'an LF at the end'],
    FOLDED: ['a folded line', 'a folded line in a response',
             'a folded trailer', 'a line of a space'],
    'spaces are of the name to it': [
        'space before the colon', 'a space in a name',
        'space before a trailer\'s colon'],
    'in a status line it takes what is behind a CR for the LF':
        ['a CR ends a line', 'two CR end a line'],
    TOLERANT: ['a tab in the path', 'space behind a size'],
    STATUS: ['a status of two digits'],
    EXTENSION: ['space behind an extension', 'an empty extension',
                'a bracket in an extension', 'an open quote',
                'an LF in an extension', 'a NUL in an extension'],
    TRAILER: ['a length behind the body'],
}

# What we take and it refuses.
BOTH_REFUSE = {
    REGISTERED: ['an unknown method', 'a method in lower case'],
}
LLHTTP_REFUSES = {
    'RFC 9110 2.5: a higher minor version is read as the last known':
        ['HTTP/1.2'],
    'it demands percent-encoding; curl sends such paths':
        ['no ASCII in the path'],
    COLON: ['space before the colon of a response'],
    BLANK: ['space before an extension', 'space in an extension'],
}

# What both take and understand in two ways.
OLD_DIFFERS = {
    COLON: ['space before the colon of a response'],
    EMPTY: ['a length where no content is', 'chunks where no content is'],
}

# Wrong, or not, in many places.
MANY = ('nothing', 'it is cut off', 'an LF ends a line', 'a CR ends a line',
        'two CR end a line')

NAMES = ('libhttp-parser', 'llhttp')


def rows(*tables):
    return {label: why for table in tables for why, labels in table.items()
            for label in labels}


EXPLAINED = {
    ('libhttp-parser', 'takes'): rows(BOTH_TAKE, OLD_TAKES),
    ('libhttp-parser', 'refuses'): rows(BOTH_REFUSE),
    ('libhttp-parser', 'differs'): rows(OLD_DIFFERS),
    ('llhttp', 'takes'): rows(BOTH_TAKE),
    ('llhttp', 'refuses'): rows(BOTH_REFUSE, LLHTTP_REFUSES),
    ('llhttp', 'differs'): {},
}


def compare(ours, theirs):
    """What the other one does in comparison with us; None: the same."""
    if ours == theirs:
        return None
    if ours.how == 'bad':
        return 'takes'
    return 'refuses' if theirs.how == 'bad' else 'differs'


def ask(t, messages):
    """(name, message, ours, theirs) for each message and other parser."""
    ours = http_parsers.ask_ours(t, messages)
    others = (http_parsers.ask_old(t, messages),
              http_parsers.ask_llhttp(t, messages))
    for name, all_of_it in zip(NAMES, others):
        for i, theirs in enumerate(all_of_it):
            yield name, i, ours[i], theirs


@long
def test_differences_from_other_parsers_are_explained(t):
    messages, labels = [], []
    for label, make in http_messages.WRONG.items():
        rng = random.Random(SEED + label)
        many = label in MANY
        for _ in range(fewer(200) if many else 8):
            messages.append(make(rng))
            labels.append(label)
    used = collections.Counter()
    for name, i, ours, theirs in ask(t, messages):
        kind = compare(ours, theirs)
        row = (name, kind), labels[i]
        assert not kind or labels[i] in EXPLAINED[name, kind], \
            (row, messages[i], ours, theirs)
        used[row] += 1
    for key, table in EXPLAINED.items():
        for label in table:
            assert used[key, label], f'explained for nothing: {key} {label}'


def is_explained(letter, text, ours):
    """Why another parser may refuse a message with a byte that is wrong."""
    head = text.partition(b'\r\n\r\n')[0]
    names = [x.partition(b':')[0] for x in head.split(b'\r\n')[1:]]
    if letter != 'q':
        return any(x.endswith((b' ', b'\t')) for x in names)  # COLON
    target = head.split(b' ')[1]
    body = text[len(head):]
    return (ours.word not in http_messages.METHODS or   # REGISTERED
            any(c > 127 for c in target) or
            body.find(b' ;') >= 0 or body.find(b'; ') >= 0)  # BLANK


@long
def test_what_all_parsers_take_they_understand_in_one_way(t):
    rng = random.Random(SEED)
    messages = [http_messages.any_byte(rng) for _ in range(fewer(4000))]
    taken = collections.Counter()
    for name, i, ours, theirs in ask(t, messages):
        kind = compare(ours, theirs)
        letter, text = messages[i]
        if kind == 'refuses':
            assert is_explained(letter, text, ours), (name, text, ours)
        elif kind == 'differs':
            # COLON: libhttp-parser has the space in the name.
            assert letter != 'q' and is_explained(letter, text, ours), \
                (name, text, ours, theirs)
        elif not kind and ours.how == 'whole':
            taken[name] += 1
    # Else this test has seen nothing.
    assert all(taken[x] > len(messages) / 4 for x in NAMES), taken
