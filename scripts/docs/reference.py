"""The reference: a page for every public name and an index for every package, from docstrings."""

import inspect

from scripts.docs.public import PublicName, packages, public_names

__all__ = ["reference_nav", "reference_pages"]

FOLDER = "reference"


def reference_pages() -> dict[str, str]:
    """Markdown of every page of the reference, by its path below `docs/`."""
    names = public_names()
    pages = {f"{FOLDER}/index.md": _front(names)}
    for package, members in _by_package(names).items():
        pages[f"{_folder(package)}/index.md"] = _package_page(package, members)
        for member in members:
            pages[_page(member)] = f"---\ntitle: {member.name}\n---\n\n::: {member.path}\n"
    return pages


def reference_nav() -> list:
    """The reference's part of the navigation."""
    return [
        f"{FOLDER}/index.md",
        *(
            {package: [f"{_folder(package)}/index.md", *(_page(member) for member in members)]}
            for package, members in _by_package(public_names()).items()
        ),
    ]


def _by_package(names: list[PublicName]) -> dict[str, list[PublicName]]:
    """The names of each package that is the outermost to export any."""
    grouped: dict[str, list[PublicName]] = {}
    for name in names:
        grouped.setdefault(name.package, []).append(name)
    return {package: sorted(grouped[package], key=lambda n: n.name.lower()) for package in sorted(grouped)}


def _folder(package: str) -> str:
    return f"{FOLDER}/{package}"


def _page(name: PublicName) -> str:
    return f"{_folder(name.package)}/{name.name}.md"


def _front(names: list[PublicName]) -> str:
    rows = [
        f"| [`{package}`]({package}/index.md) | {_first_line(module)} | {len(members)} |"
        for package, members in _by_package(names).items()
        for module in [packages()[package]]
    ]
    return "\n".join(
        [
            "# Reference",
            "",
            f"Every public function and class of heurax, {len(names)} in all, from their docstrings. A name has its",
            "page under the outermost package that exports it. What a config can name is also shown by `heurax list`.",
            "",
            "| package | what is in it | names |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _package_page(package: str, members: list[PublicName]) -> str:
    module = packages()[package]
    kinds = {
        "Classes": [m for m in members if inspect.isclass(m.value)],
        "Functions": [m for m in members if inspect.isroutine(m.value)],
        "Constants": [m for m in members if not inspect.isclass(m.value) and not inspect.isroutine(m.value)],
    }
    lines = [f"---\ntitle: {package}\n---\n", f"# `{package}`\n", f"{inspect.getdoc(module)}\n"]
    for title, found in kinds.items():
        if found:
            rows = [f"| [`{m.name}`]({m.name}.md) | {m.summary.replace('|', '&#124;')} |" for m in found]
            lines += [f"## {title}\n", "| name | what it is |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _first_line(module: object) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0]
