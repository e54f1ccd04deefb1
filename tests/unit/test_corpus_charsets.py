"""Bytes to text by the WHATWG encoding standard; what is wrong is replaced and said."""

from __future__ import annotations

import pytest

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Unreadable
from tribrid.corpus.webpages import read_html


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gbk", "朱镕基"),
        ("GBK", "gb18030", "㐀𠀀"),
        ("shift_jis", "cp932", "①②髙"),
        ("x-sjis", "cp932", "～"),  # noqa: RUF001
        ("euc-kr", "cp949", "똠"),
        ("ks_c_5601-1987", "cp949", "펲시콜라"),
        ("big5", "big5hkscs", "㗎"),
        ("iso-8859-1", "cp1252", "€ “a” –"),
        ("us-ascii", "cp1252", "é…"),
        ("iso-8859-9", "cp1254", "ş€"),
        ("tis-620", "cp874", "ก€"),
        ("unicode-1-1-utf-8", "utf-8", "é"),
        ("utf-16", "utf-8", "é"),
        ("rot13", "utf-8", "é"),
        (None, "utf-8", "é"),
    ],
)
def test_a_label_means_what_it_means_to_browsers(label: str | None, codec: str, text: str) -> None:
    assert decode(text.encode(codec), label) == (text, ())


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ("euc-jp", b"\xc6\xfc\xad\xa1\xcb\xdc\xad\xeaa"),
        ("iso-2022-jp", b"\x1b$BF|-!K\\-j\x1b(Ba"),
    ],
)
def test_japanese_has_the_characters_of_windows(label: str, data: bytes) -> None:
    assert decode(data, label) == ("日①本㈱a", ())
    text, losses = decode(data.replace(b"a", b"abc def ghi \xff"), label)
    assert (text, len(losses)) == ("日①本㈱abc def ghi \ufffd", 1)


def test_a_byte_order_mark_goes_before_what_is_declared() -> None:
    assert decode("\ufeffé".encode(), "gbk") == ("é", ())
    assert decode("\ufeffé".encode("utf-16-be"), "gbk") == ("é", ())


def test_wrong_bytes_are_replaced_and_said() -> None:
    text, losses = decode(b"\xef\xbb\xbf" + b"word " * 10 + b"\xff\xe9", None)
    assert text == "word " * 10 + "\ufffd\ufffd"
    assert losses == ("2 places are not valid UTF-8 and replaced by \ufffd (byte 54 first)",)
    assert decode("漢字".encode("cp932") * 10 + b"\x81", "shift_jis")[1]


@pytest.mark.parametrize(
    ("data", "declared", "reason"),
    [
        ("Привет".encode("cp1251"), None, "not valid UTF-8"),
        (b"a\0b", None, "binary"),
        (b"text", "hz-gb-2312", "character set 'hz-gb-2312' is not read"),
    ],
)
def test_what_is_in_another_character_set_is_refused(data: bytes, declared: str | None, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(data, declared)


@pytest.mark.parametrize(
    "head",
    [
        "<meta charset=windows-1251>",
        "<META Charset = 'windows-1251' >",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
        '<?xml version="1.0" encoding="windows-1251"?>',
        "<!-- <meta charset=koi8-r> --><meta name=x><meta charset=windows-1251>",
        "<meta name=keywords content='charset'><meta charset=windows-1251>",
    ],
)
def test_a_page_declares_its_character_set(head: str) -> None:
    assert read_html((head + "<p>Привет").encode("cp1251")).text == "Привет"
