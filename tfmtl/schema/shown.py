"""Values as error texts show them."""

_MOST_CHARACTERS = 300


def shown(value: object) -> str:
    """`repr(value)`, cut where it would fill the screen: an error names the place, it does not print the file."""
    text = repr(value)
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}... ({len(text):,} characters)"
