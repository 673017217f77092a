"""Extension of Griffe: docstrings in Keras's form, as its parser for Google's form reads them.

Examples (`>>>`) stand at the left margin and become blocks of code. The type of an argument stands at the beginning of
its text and is shown as its type; its default, at the end, is left to the signature. Sections that Google's form does
not have (call arguments, reference) become a heading and its text.
"""

import re
import textwrap
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^([ \t]*)>>> .*(?:\n[ \t]*\S.*)*", re.MULTILINE)
_SECTION = re.compile(r"^(Call arguments|Reference|Masking|Attributes):\n((?:    .*\n?|[ \t]*\n)+)", re.MULTILINE)
_CODE = re.compile(r"^(Example|Examples):\n\n((?:    .*\n?|[ \t]*\n)+)", re.MULTILINE)
_TYPED = re.compile(
    r"^(    \*{0,2}\w+): ((?:int|float|bool|str|tuple|list|dict|callable|array|sequence|mapping)"
    r"(?: of (?:int|float|bool|str)s?)?(?: or None)?)\. (?=\S)",
    re.MULTILINE,
)
_ENTRY = re.compile(r"^    (\*{0,2}\w+): ", re.MULTILINE)
_DEFAULT = re.compile(r"(?<=\.)\s+Defaults to `[^`]*`\.$", re.MULTILINE)  # the signature says so beside the name


def to_google(text: str) -> str:
    """The docstring in Google's form.

    >>> print(to_google("Adds.\\n\\nArgs:\\n    x: int. A number.\\n\\nExample:\\n\\n>>> 1 + 1\\n2"))
    Adds.
    <BLANKLINE>
    Args:
        x (int): A number.
    <BLANKLINE>
    **Example**
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    """
    text = _SECTION.sub(_as_list, text)
    text = _DEFAULT.sub("", text)
    text = _TYPED.sub(r"\1 (\2): ", text)
    text = _CODE.sub(lambda found: f"**{found[1]}**\n\n```python\n{textwrap.dedent(found[2]).strip()}\n```\n", text)
    text = re.sub(r"^Examples?:\n", "**Example**\n", text, flags=re.MULTILINE)
    return _EXAMPLE.sub(lambda found: f"```pycon\n{textwrap.dedent(found[0])}\n```", text)


def _as_list(found: re.Match[str]) -> str:
    title, body = found[1], found[2].rstrip("\n")
    after = found[2][len(body) :]
    if _ENTRY.match(body):
        entries = re.sub(r"^    (?=\S)", "- ", _ENTRY.sub(r"    `\1`: ", body), flags=re.MULTILINE)
        return f"**{title}**\n\n{re.sub(r'^        ', '  ', entries, flags=re.MULTILINE)}{after}"
    return f"**{title}**\n\n{textwrap.dedent(body)}{after}"


class KerasDocstrings(griffe.Extension):
    """Rewrites every docstring as it is found."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_google(obj.docstring.value)
