"""Docstrings as Markdown: doctests become code, arXiv ids and names of public things become links."""

import re
from typing import Any

import griffe
from scripts.docs.public import public_names

__all__ = ["DocstringLinks", "as_markdown"]

DOCTEST = re.compile(r"^>>> .*(?:\n.*\S.*)*", re.MULTILINE)
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{5})")
MENTION = re.compile(r"(?<![`\[])`(\w+)`(?!`)")


def as_markdown(text: str, links: dict[str, str]) -> str:
    """A docstring with doctests fenced and links set.

    Args:
        text: a docstring, dedented.
        links: where names that are mentioned in backticks lead, in Markdown's brackets.

    >>> as_markdown("See `VeLO`, arXiv:2211.09760.", {"VeLO": "(VeLO.md)"})
    'See [`VeLO`](VeLO.md), [arXiv:2211.09760](https://arxiv.org/abs/2211.09760).'
    """
    fenced = DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", text)
    parts = re.split(r"(^```pycon\n.*?^```$)", fenced, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```pycon") else _with_links(part, links) for part in parts)


def _with_links(text: str, links: dict[str, str]) -> str:
    text = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return MENTION.sub(lambda found: f"[{found[0]}]{links[found[1]]}" if found[1] in links else found[0], text)


class DocstringLinks(griffe.Extension):
    """Hands mkdocstrings every docstring as Markdown, with links to the reference's pages."""

    def __init__(self) -> None:
        self.links = {name.name: f"[{name.path}]" for name in public_names() if not name.name.startswith("_")}

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite a docstring as soon as it has been read."""
        del kwargs  # unused: which loader and which agent read it
        if obj.docstring is not None:
            links = {name: target for name, target in self.links.items() if name != obj.name}
            obj.docstring.value = as_markdown(obj.docstring.value, links)
