"""What a docstring says of each argument: help texts of options and descriptions in the JSON Schema come from there."""

import inspect
import re

_ENTRY = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)


def argument_texts(cls: type) -> dict[str, str]:
    """Argument -> what the docstring says of it, without its type, and without its default unless that is in words.

    A subclass also has what its base classes say of the arguments that it inherits.

    Args:
        cls: class with a section `Args:` in its docstring.

    Example:

    >>> from tfmtl.schema import Keys
    >>> argument_texts(Keys)["group"]
    'Column whose values are the groups of the grouped AUC. Default: the user.'
    """
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__doc__ and not base.__module__.startswith("builtins"):
            texts |= _entries(inspect.cleandoc(base.__doc__))
    return texts


def _entries(docstring: str) -> dict[str, str]:
    found = {}
    for argument, entry in _ENTRY.findall(docstring):
        text = " ".join(entry.split()).partition(". ")[2].replace("`", "")
        text, _, default = text.partition("Defaults to ")
        in_words = default.partition("None: ")[2]
        found[argument] = (text.strip() + (f" Default: {in_words}" if in_words else "")).strip()
    return found
