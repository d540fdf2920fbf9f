from __future__ import annotations

from routers.exchange import notes_header


def test_notes_are_one_header_of_plain_characters():
    assert notes_header(()) == {}
    assert notes_header(("one", "two")) == {"X-Notes": "one; two"}
    assert notes_header(("caf\u00e9 \u6211",)) == {"X-Notes": "caf? ?"}
    assert notes_header(("a\r\nSet-Cookie: b=c",)) == {"X-Notes": "a  Set-Cookie: b=c"}
