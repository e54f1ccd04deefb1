"""reStructuredText to plain text in which a heading is a `#` line, as in Markdown.

One convention for headings lets passages break and heuristics find sections without knowing where a text came from.
It is read line by line, not by docutils: that drops whatever a Sphinx directive it does not know holds, and that is
where API documentation keeps its text.
"""

from __future__ import annotations

import re

HEADING_LEVELS = 6

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t]*$")
_BORDER = re.compile(r"={3,}")
_DIRECTIVE = re.compile(r"([ \t]*)\.\.[ \t]+(?:\|[^|]+\|[ \t]+)?([\w:.+-]+?)::[ \t]*(.*)$")
_TARGET_OR_COMMENT = re.compile(r"[ \t]*\.\.(?:[ \t]|$)")
_OPTION = re.compile(r"[ \t]+:[\w -]+:(?:[ \t]|$)")
# Directives whose argument is a path or a switch, not words.
_FILES = ["figure", "image", "include", "literalinclude", "raw", "toctree"]
_SWITCHES = ["contents", "default-role", "highlight", "index", "meta", "only", "role", "sectnum", "tabularcolumns"]
_NAMES = ["code", "code-block", "currentmodule", "module", "sourcecode"]
_SILENT = frozenset([*_FILES, *_SWITCHES, *_NAMES])
# Directives whose own name is a word of the text, as Sphinx writes it.
_ADMONITIONS = ["attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning"]
_SPOKEN = {
    **{name: f"{name.capitalize()}:" for name in _ADMONITIONS},
    "seealso": "See also:",
    "todo": "Todo:",
    "deprecated": "Deprecated since version",
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "versionremoved": "Removed in version",
    "deprecated-removed": "Deprecated, and removed, in versions",
}
# `:role:` before the backticks and `_` behind them are markup; `<target>` inside them too. The lengths bound the
# search on text that is no rST.
_INLINE = re.compile(r"(?::[\w:.+-]{1,60}:)?`{1,2}([^`\n]{1,1000})`{1,2}_{0,2}")


def rst_text(source: str) -> tuple[str, str]:
    """The title (the first section's; may be empty) and the readable text of a reStructuredText source.

    Section titles become `#` lines, by the order in which their adornments first appear. Comments, targets,
    directive options and the arguments of directives that only include or configure are dropped; the bodies
    of all directives stay.
    """
    lines = source.expandtabs(4).splitlines()
    styles: list[tuple[str, bool]] = []
    title = ""
    out: list[str] = []
    index = 0
    while index < len(lines):
        table_end = _table_end(lines, index)
        if table_end:
            out.extend(_inline(line) for line in lines[index:table_end] if line.rstrip() != lines[index].rstrip())
            index = table_end
            continue
        heading = _heading_at(lines, index)
        if heading is not None:
            text, style, length = heading
            if style not in styles:
                styles.append(style)
            title = title or _inline(text)
            out.append(f"{'#' * min(styles.index(style) + 1, HEADING_LEVELS)} {_inline(text)}")
            index += length
            continue
        index = _explicit_markup(lines, index, out)
    return title, "\n".join(out).strip()


def _table_end(lines: list[str], index: int) -> int:
    """The line after a table of one column that starts at a line; 0 if none does.

    It begins as an overlined title does: border, words, border. But rows follow at once, and a third border.
    """
    border = lines[index].rstrip()
    if not _BORDER.fullmatch(border) or index + 4 >= len(lines) or lines[index + 2].rstrip() != border:
        return 0
    for number in range(index + 3, len(lines)):
        line = lines[number].rstrip()
        if line == border:
            return number + 1 if number > index + 3 else 0
        if not line or len(line) > len(border):
            return 0
    return 0


def _heading_at(lines: list[str], index: int) -> tuple[str, tuple[str, bool], int] | None:
    """A section title that starts at a line: its text, its style (character, overlined) and how many lines."""
    line = lines[index]
    after = lines[index + 1] if index + 1 < len(lines) else ""
    mark = _ADORNMENT.match(line)
    if mark:
        below = lines[index + 2] if index + 2 < len(lines) else ""
        if after.strip() and below.rstrip() == line.rstrip():
            return after.strip(), (mark[1], True), 3
        return None
    under = _ADORNMENT.match(after)
    if under and line.strip() and not line[0].isspace() and len(after.rstrip()) >= len(line.rstrip()):
        return line.strip(), (under[1], False), 2
    return None


def _explicit_markup(lines: list[str], index: int, out: list[str]) -> int:
    """Write one line, or the readable part of a directive's head; returns the next index."""
    line = lines[index]
    directive = _DIRECTIVE.match(line)
    if directive:
        name = directive[2].rpartition(":")[2].lower()
        said = f"{_SPOKEN.get(name, '')} {'' if name in _SILENT else _inline(directive[3])}".strip()
        if said:
            out.append(directive[1] + said)
        index += 1
        while index < len(lines) and _OPTION.match(lines[index]):
            index += 1
        return index
    if _TARGET_OR_COMMENT.match(line):
        if re.match(r"[ \t]*\.\.[ \t]+\[[^\]]+\][ \t]", line):
            out.append(_inline(line.strip()[3:]))
            return index + 1
        return _comment_end(lines, index)
    out.append(_inline(line))
    return index + 1


def _comment_end(lines: list[str], index: int) -> int:
    """The line after a comment or target: its indented continuation goes with it."""
    indent = len(lines[index]) - len(lines[index].lstrip())
    index += 1
    while index < len(lines) and lines[index].strip() and len(lines[index]) - len(lines[index].lstrip()) > indent:
        index += 1
    return index


def _inline(line: str) -> str:
    """Roles, references and literals as the words they show."""
    if "`" not in line:
        return line
    return _INLINE.sub(lambda found: _shown(found[1]), line)


def _shown(content: str) -> str:
    """What a role's or a reference's backticks show: `text <target>` without the target, `~a.b` without `~`."""
    label, bracket, _ = content.rpartition("<")
    shown = label.rstrip() if bracket and label.strip() and content.endswith(">") else content
    return shown.removeprefix("~").removeprefix("!")
