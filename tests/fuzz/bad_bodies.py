"""Bodies that no endpoint takes, and what is wrong with each."""

from __future__ import annotations

from typing import Final

MANY: Final = 1_000_000
DEEP: Final = 200_000

# Refused whatever the endpoint is: they are no JSON, or no object of text, numbers and truths.
NO_JSON: Final[dict[str, bytes]] = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "truncated object": b'{"model": "sandbox-small", "amount": 1',
    "truncated text": b'{"name": "Acm',
    "truncated escape": b'{"name": "\\u12',
    "two values": b'{"name": "a"} {"name": "b"}',
    "no quotes": b"{name: 1}",
    "single quotes": b"{'name': 'Acme'}",
    "trailing comma": b'{"name": "Acme",}',
    "comment": b'{"name": "Acme" /* us */}',
    "form": b"name=Acme&amount=1",
    "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "bytes": bytes(range(256)),
    "byte order mark": b'\xef\xbb\xbf{"name": "Acme"}',
    "utf-16": '{"name": "Acme"}'.encode("utf-16"),
    "invalid utf-8": b'{"name": "\xff\xfe"}',
    "overlong utf-8": b'{"name": "\xc0\xaf"}',
    "surrogate in utf-8": b'{"name": "\xed\xa0\x80"}',
    "raw control character": b'{"name": "a\nb"}',
    "raw nul": b'{"name": "a\0b"}',
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": -Infinity}',
    "hexadecimal": b'{"amount": 0x10}',
    "leading zero": b'{"amount": 007}',
    "deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep within": b'{"model": "sandbox-small", "messages": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "open brackets": b"[" * DEEP,
}
# JSON, of a type that a body is not.
NO_OBJECT: Final[dict[str, bytes]] = {
    "null": b"null",
    "true": b"true",
    "number": b"12.5",
    "huge number": b"9" * 100_000,
    "text": b'"name"',
    "list of numbers": b"[" + b"1," * (MANY - 1) + b"1]",
    "list of nulls": b"[null, null]",
}
# Objects, whose fields nobody knows or whose values nothing can hold.
BAD_OBJECT: Final[dict[str, bytes]] = {
    "unknown field": b'{"frobnicate": 1}',
    "a million fields": b"{" + b",".join(b'"f%d":1' % n for n in range(100_000)) + b"}",
    "escaped nul in a name": b'{"a\\u0000b": 1}',
    "lone surrogate in a name": b'{"\\ud800": 1}',
    "the longest name": b'{"' + b"n" * MANY + b'": 1}',
    "prototype": b'{"__proto__": {"admin": true}, "constructor": 1}',
}

WRONG_VALUES: Final[dict[str, bytes]] = {
    "null": b"null",
    "true": b"true",
    "list": b"[]",
    "object": b"{}",
    "a million items": b"[" + b"1," * (MANY - 1) + b"1]",
    "nested": b"[" * 500 + b"]" * 500,
    "negative": b"-1",
    "fraction": b"0.0000000001",
    "exponent": b"1e999999",
    "tiny exponent": b"1e-999999",
    "huge": b"9" * 5_000,
    "minus zero": b"-0.0",
    "2**63": b"9223372036854775808",
    "2**53+1": b"9007199254740993",
    "text": b'"twelve"',
    "empty text": b'""',
    "number as text": b'"12"',
    "long text": b'"' + b"x" * MANY + b'"',
    "escaped nul": b'"a\\u0000b"',
    "lone surrogate": b'"\\ud800"',
    "control characters": b'"a\\u0007\\u001b[31m"',
    "emoji": '"\U0001f4b8\u202e"'.encode(),
    "injection": b'"\'; DROP TABLE wallet; --"',
}

# In place of a value, or of a name, in a request that is good otherwise.
STRANGE_TEXTS: Final = (
    "",
    " ",
    "a\0b",
    "\0",
    "\ud800",
    "\ufffe\uffff",
    "\U0001f4b8\u202e\u0301" * 50,
    "x" * 100_000,
    "=HYPERLINK(1)",
    "'; DROP TABLE wallet; --",
    "%s %d {0} {{",
    "../../etc/passwd",
    "[[sandbox: error=abc, tokens=-1]]",
    "[[sandbox: tokens=1e9]]",
    "tk_op_x",
    "\r\nx-injected: 1",
    "NaN",
    "9" * 400,
)
STRANGE: Final = (
    *STRANGE_TEXTS,
    *(None, True, -1, 0, 2**31, 2**53 + 1, 2**63, 2**64, 10**400),
    *(0.1, -0.0, 1e-12, 1e308, 12345.123456789123),
    *([], {}, [None], {"": None}, [[[[[[]]]]]], {"a": {"b": {"c": [1, 2]}}}),
)
