"""Bytes to text, as a browser would: the declared character set by the WHATWG encoding standard, else UTF-8.

Under the standard `gb2312` is GB18030's forerunner GBK, `shift_jis` Windows-31J, `euc-kr` Windows-949, and `iso-8859-1`
Windows-1252: what those labels stand for on real pages. Wrong bytes are replaced and said; a file that is mostly wrong
bytes is in another character set and is refused, not guessed at.
"""

from __future__ import annotations

import codecs

import webencodings

from tribrid.corpus.contents import Unreadable, plain_lines

REPLACED = "\ufffd"
# More wrong bytes than this, as a share of the characters: not this character set.
MAX_WRONG_SHARE = 0.1
# The standard decodes GBK as its superset.
_SUPERSETS = {"gbk": webencodings.lookup("gb18030")}
# Labels that the standard answers with no text at all.
_REFUSED = "replacement"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

# The codecs of Japan to which Windows added characters (such as ①) that the standard has, and Python lacks.
_JAPANESE = {"euc_jp": 0x80, "iso2022_jp": 0}
_REPLACE = "tribrid.corpus.charsets"


def decode(data: bytes, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text, with every line ending in a line feed alone, and what was lost on the way.

    Args:
        declared: the label by which the file names its character set; a byte order mark goes before it.

    Raises:
        Unreadable: it is no text, or is in another character set.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), None)
    if mark is not None:
        return _decoded(data.removeprefix(mark), codecs.lookup(_MARKS[mark]), _MARKS[mark][:6], len(mark))
    if b"\0" in data:
        raise Unreadable("binary, not text")
    found = webencodings.lookup(declared) if declared else None
    # A page whose label could be read is in no UTF-16, whatever it says.
    if found is None or found.name.startswith("utf-16"):
        found = webencodings.UTF8
    found = _SUPERSETS.get(found.name, found)
    if found.name == _REFUSED:
        raise Unreadable(f"its character set {declared!r} is not read")
    return _decoded(data, found.codec_info, found.name, 0)


def _decoded(data: bytes, codec: codecs.CodecInfo, name: str, offset: int) -> tuple[str, tuple[str, ...]]:
    try:
        return plain_lines(codec.decode(data, "strict")[0]), ()
    except UnicodeDecodeError as error:
        first = offset + error.start + 1
    text = plain_lines(codec.decode(data, _REPLACE)[0])
    wrong = text.count(REPLACED)
    if not wrong:
        return text, ()
    if wrong > MAX_WRONG_SHARE * len(text):
        raise Unreadable(f"not valid {name.upper()} (byte {first})")
    parts = "1 place is" if wrong == 1 else f"{wrong:,} places are"
    return text, (f"{parts} not valid {name.upper()} and replaced by {REPLACED} (byte {first} first)",)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """For codecs: what stands for bytes that cannot be decoded, and where to go on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    mark = _JAPANESE.get(error.encoding, 0)
    row, cell = ([byte - mark - 0x20 for byte in error.object[error.start : error.start + 2]] + [0, 0])[:2]
    if error.encoding in _JAPANESE and 1 <= row <= 94 and 1 <= cell <= 94:
        lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
        trail = cell + (0x9E if row % 2 == 0 else 0x3F + (cell >= 64))
        found = bytes([lead, trail]).decode("cp932", "replace")
        if REPLACED not in found:
            return found, error.start + 2
    return REPLACED, error.end


codecs.register_error(_REPLACE, _replace)
