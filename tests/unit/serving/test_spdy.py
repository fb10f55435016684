from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.serving import spdy
from netlab.serving.spdy import Broken, FrameWriter, SpdyFrameReader


def test_the_dictionary_is_the_one_that_everybody_has() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


@given(st.lists(st.integers(1, 200)))
def test_frames_arrive_whole_however_they_are_cut(cuts: list[int]) -> None:
    writer = FrameWriter()
    raw = b"".join(
        (
            writer.syn_stream(1, {"streamType": "error", "port": "80"}),
            writer.syn_stream(3, {"streamType": "data", "port": "80"}, spdy.FIN),
            spdy.data_frame(1, b"some data", spdy.FIN),
            writer.syn_reply(1),
            spdy.ping(7),
            spdy.reset(3, 5),
        )
    )
    reader, frames = SpdyFrameReader(), []
    for cut in [*cuts, len(raw)]:
        frames += reader.feed(raw[:cut])
        raw = raw[cut:]
    assert [(frame.type, frame.stream, frame.is_last) for frame in frames] == [
        (spdy.SYN_STREAM, 1, False), (spdy.SYN_STREAM, 3, True), (0, 1, True),
        (spdy.SYN_REPLY, 1, False), (spdy.PING, 7, False), (spdy.RST_STREAM, 3, False),
    ]  # fmt: skip
    assert frames[1].headers == {"streamtype": "data", "port": "80"}
    assert frames[2].data == b"some data"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x02\0\x01\0\0\0\x0a" + bytes(10),  # SPDY/2
        b"\0\0\0\x01\0\xff\xff\xff",
        b"\x80\x03\0\x01\0\0\0\x14" + bytes(20),  # no compressed headers
    ],
)
def test_what_is_no_spdy_is_refused(raw: bytes) -> None:
    with pytest.raises(Broken):
        list(SpdyFrameReader().feed(raw))


def test_headers_cannot_grow_without_bounds() -> None:
    bomb = FrameWriter().syn_stream(1, {"x": "y" * 1_000_000})
    assert len(bomb) < 5000
    with pytest.raises(Broken, match="too large"):
        list(SpdyFrameReader().feed(bomb))


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_broken(data: bytes) -> None:
    with contextlib.suppress(Broken):
        list(SpdyFrameReader().feed(data))
