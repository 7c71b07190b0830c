"""English text that needs no download: the documentation that ships inside CPython."""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np

from heurax.tasks.base import Split

__all__ = ["ALPHABET", "TEXTS", "TextData", "decode", "encode", "python_topics"]

ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
"""The characters of all texts, each at the place of its token: the line feed and printable ASCII, 96 in all."""

PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\t": "    ",
    }
)


class TextData(NamedTuple):
    """A text as tokens, split once and for all.

    Attributes:
        tokens: per split, bytes `[characters]`, indices into `ALPHABET`.
    """

    tokens: dict[Split, np.ndarray]


def encode(text: str) -> np.ndarray:
    r"""Tokens of a text, bytes `[characters]`.

    Quotes and dashes of typographers become ASCII, accents are dropped, and any other character becomes `?`.

    >>> encode("a\u2013b").tolist()
    [66, 14, 67]
    """
    plain = unicodedata.normalize("NFKD", text.translate(PLAIN))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("\r\n", "\n")
    index = {character: token for token, character in enumerate(ALPHABET)}
    return np.array([index.get(character, index["?"]) for character in plain], np.uint8)


def decode(tokens: np.ndarray) -> str:
    r"""The text of tokens.

    >>> decode(encode("Hello.\n"))
    'Hello.\n'
    """
    return "".join(ALPHABET[token] for token in np.ravel(tokens))


@functools.cache
def python_topics() -> TextData:
    """The topics of `help()`: chapters of Python's language reference, English prose with code, about 0.5 MB.

    Every eighth topic by name, from the first, is for validation, every eighth from the fifth for test: whole topics
    are held out. The text is that of the running version of CPython, so losses compare between runs of one version.

    Source: `pydoc_data.topics`, under the licence of Python.
    """
    from pydoc_data.topics import topics

    names = sorted(topics)
    held_out: dict[Split, list[str]] = {"validation": names[0::8], "test": names[4::8]}
    held_out["train"] = [name for name in names if name not in held_out["validation"] + held_out["test"]]
    return TextData({split: encode("\n".join(topics[name] for name in names)) for split, names in held_out.items()})


TEXTS = {"python_topics": python_topics}
"""Texts by name."""
