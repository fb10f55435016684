"""A grammar of what is hardly HTTP: mangled requests, and upgrades with junk behind them."""

from __future__ import annotations

import random

from fuzz import wire
from fuzz.api_bodies import mutated
from fuzz.api_requests import Request, dice, requests
from hypothesis import strategies as st

from netlab.serving import spdy

_POD = "/api/v1/namespaces/default/pods/web"
_PROTOCOLS = (
    "v5.channel.k8s.io", "v4.channel.k8s.io", "base64.channel.k8s.io", "base64.binary.k8s.io",
    "SPDY/3.1+portforward.k8s.io",
)  # fmt: skip
_UPGRADES = tuple(
    Request(method, f"{_POD}/{what}", (("Connection", "Upgrade"), *headers))
    for what in (
        "exec?command=cat&stdin=1&stdout=1&tty=1",
        "exec?command=fail&command=3&stderr=1",
        "attach?stdin=1&stdout=1",
        "portforward?ports=7&ports=8",
        "log?follow=1",
    )
    for method, headers in (
        ("POST", (("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"))),
        ("POST", (("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "portforward.k8s.io"))),
        *(
            (
                "GET",
                (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                 ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                 ("Sec-WebSocket-Protocol", protocol)),
            )
            for protocol in _PROTOCOLS
        ),
    )
)  # fmt: skip


def _spdy_frame(writer: spdy.FrameWriter, roll: random.Random) -> bytes:
    kind = roll.choice(("stdin", "stdout", "stderr", "error", "resize", "data", "", "x"))
    stream = roll.choice((0, 1, 3, 5, 7, 9, 2**31 - 1))
    match roll.randrange(5):
        case 0 | 1:
            names = {
                "streamType": kind,
                "port": roll.choice(("7", "8", "x", "0")),
                "requestID": "0",
            }
            return writer.syn_stream(stream, names)
        case 2:
            return spdy.data_frame(stream, roll.randbytes(roll.randrange(40)), roll.randrange(2))
        case 3:
            return spdy.reset(stream) + spdy.ping(roll.randrange(4))
    return roll.randbytes(roll.randrange(30))


def _websocket_frame(writer: spdy.FrameWriter, roll: random.Random) -> bytes:
    inner = roll.choice((
        roll.randbytes(roll.randrange(200)), _spdy_frame(writer, roll), bytes([roll.randrange(6)]),
        b'\x04{"Width": 80, "Height": 9e999}', b"\x04" + b"[" * 3000, b"\x00hello\n", b"\xff\x00",
    ))  # fmt: skip
    opcode = roll.choice((0, 1, 2, 2, 2, 2, 3, 8, 9, 10, 15))
    return wire.websocket_frame(opcode, inner, last=roll.random() < 0.9, masked=roll.random() < 0.9)


@st.composite
def _upgraded(draw: st.DrawFn) -> list[bytes]:
    roll, request, writer = draw(dice), draw(st.sampled_from(_UPGRADES)), spdy.FrameWriter()
    frame = _websocket_frame if request.method == "GET" else _spdy_frame
    frames = [frame(writer, roll) for _ in range(roll.randrange(6))]
    return [
        request.on_the_wire(),
        *(mutated(one, roll) if roll.random() < 0.1 else one for one in frames),
    ]


_CHUNKED = b"POST /api/v1/pods HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_ODD_HTTP = (
    _CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", _CHUNKED + b"zz\r\n",
    _CHUNKED + b"fffffffffffffffff\r\n",
    _CHUNKED + b"5\r\nhel", _CHUNKED + b"-1\r\n", _CHUNKED + b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\r\n\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"FROB /api HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /api",
    b"GET /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"GET /api HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"GET /" + b"a" * 20_000,
    b"GET /api HTTP/1.1\r\nX: " + b"a" * 20_000, b"GET /api HTTP/1.1\r\n" + b"X: y\r\n" * 3000,
    b"GET http://[::1 HTTP/1.1\r\n\r\n", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nhello", b"GET /api HTTP/1.1\r\n: x\r\n\r\n",
    b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n" * 50, b"GET ?\xff HTTP/1.0\r\n\r\n",
)  # fmt: skip


@st.composite
def _hardly_http(draw: st.DrawFn) -> list[bytes]:
    roll = draw(dice)
    whole = draw(st.one_of(st.sampled_from(_ODD_HTTP), requests.map(Request.on_the_wire)))
    sent = mutated(whole, roll) if roll.random() < 0.6 else whole
    at = roll.randrange(len(sent) + 1)
    return [sent[:at], sent[at:]]


conversations = st.one_of(_hardly_http(), _upgraded())
