"""What is public: every name in the `__all__` of a package of heurax, with the shortest path to it."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import Any

import heurax

__all__ = ["PublicName", "packages", "public_names"]


@dataclass(frozen=True)
class PublicName:
    """A public name.

    Attributes:
        package: the outermost package that exports it.
        name: its name there.
        value: the object.
        summary: the first line of its docstring; empty for constants, which have none.
    """

    package: str
    name: str
    value: Any
    summary: str

    @property
    def path(self) -> str:
        """Where it is imported from, as `heurax.rules.VeLO`."""
        return f"{self.package}.{self.name}"


def packages() -> dict[str, Any]:
    """Every package of heurax that has an `__all__`, by its name, outer before inner."""
    names = ["heurax", *(m.name for m in pkgutil.walk_packages(heurax.__path__, "heurax.") if m.ispkg)]
    modules = {name: importlib.import_module(name) for name in sorted(names, key=lambda name: (name.count("."), name))}
    return {name: module for name, module in modules.items() if hasattr(module, "__all__")}


def public_names() -> list[PublicName]:
    """Every public name once, with the outermost package that exports it."""
    found: dict[tuple[str, int], PublicName] = {}
    for package, module in packages().items():
        for name in module.__all__:
            value = getattr(module, name)
            described = inspect.isclass(value) or inspect.isroutine(value)
            summary = (inspect.getdoc(value) or "").partition("\n")[0] if described else ""
            found.setdefault((name, id(value)), PublicName(package, name, value, summary))
    return list(found.values())
