"""Words and runs of characters: against plain Python, and the bytes that are no text."""

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmtl.features.tokens import is_utf8, ngrams_of, words_of

_SCRIPTS = ("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA LETTER")
_CHARACTERS = (
    "abcXYZ09 \t\n\x00\x0b\x85\u2028\u00a0\ufeff.,;:!?'\"-_|<>/\\$+^~()[]{}#@&*%="
    "äöüßÄÖÜéÉñçŒıİſǅΣσςΑαЖжЯя\u0301\u0308אבגعربकखี๑ไทย한글日本語のカタ五🦊🎉♥€½²Ⅷ"
)
texts = st.text(st.sampled_from(_CHARACTERS), max_size=20)


def plain_words(text: str) -> list[str]:
    """The same by category, a character at a time."""
    words: list[str] = []
    is_open = False
    for character in text:
        category = unicodedata.category(character)
        is_alone = category == "So" or unicodedata.name(character, "").startswith(_SCRIPTS)
        if is_alone or category[0] not in "LMN":
            words += [character] if is_alone else []
            is_open = False
            continue
        words[-1:] = [words[-1] + character] if is_open else [*words[-1:], character]
        is_open = True
    return [word.lower() for word in words]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(texts, min_size=20, max_size=40))
def test_words_are_those_of_plain_python(rows: list[str]) -> None:
    expected = [plain_words(text)[:5] for text in rows]
    found = [[word.decode() for word in words] for words in words_of(tf.constant(rows), 5).to_list()]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 5 o'clock -- NOW!", ["it", "s", "5", "o", "clock", "now"]),
        ("ÄPFEL und Straße", ["äpfel", "und", "straße"]),
        ("a\u0308 ä", ["a\u0308", "ä"]),  # not composed
        ("日本語 text", ["日", "本", "語", "text"]),
        ("hot🔥🔥", ["hot", "🔥", "🔥"]),
        ("before\x00after", ["before", "after"]),
        (" \t!?", []),
        ("", []),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert [word.decode() for word in words_of(tf.constant([text]), 9).to_list()[0]] == words


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(texts, min_size=5, max_size=20))
def test_runs_are_those_of_plain_python(rows: list[str]) -> None:
    expected = []
    for text in rows:
        marked = [f"<{word}>" for word in plain_words(text)]
        runs = [w[i : i + n] for w in marked for n in (2, 3, 4) for i in range(len(w) - n + 1)]
        expected.append(runs[:12])
    found = ngrams_of(words_of(tf.constant(rows), 99), 2, 4, 12)
    assert [[run.decode() for run in runs] for runs in found.to_list()] == expected


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=6) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3).map(str.encode))
def test_bytes_are_text_where_python_says_so(raw: bytes) -> None:
    try:
        raw.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False
    assert bool(is_utf8(tf.constant(raw))) is expected
