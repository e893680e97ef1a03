"""YAML as DVC reads it, with errors that name the line."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from boxset.conflicts import conflict_in
from boxset.errors import InputError, ParamsError


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises InputError or ParamsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise InputError(f"cannot read: {err.strerror}", where=str(path), do="Run in a Boxset project, or make one with `boxset init DIR`") from err
    except UnicodeDecodeError as err:
        raise ParamsError(f"not UTF-8 at byte {err.start}", where=str(path), do="Save it as UTF-8") from err
    return parsed_yaml(text, where=str(path))


def parsed_yaml(text: str, *, where: str) -> Any:
    """Parse YAML as DVC does. Raises ParamsError that names the line."""
    try:
        return yaml.load(text, Loader=_Yaml12)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as err:
        conflict = conflict_in(text.encode(), where)
        if conflict:
            raise ParamsError(conflict.what, where=conflict.where, do=conflict.do) from err
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        raise ParamsError(f"not YAML: {problem}", where=f"{where}{line}", do=_remedy(problem, text, mark)) from err


REMEDIES = {
    "a tab character": "Indent with spaces, not with a tab",
    "cannot start any token": "Put that text in quotes",
    "mapping values are not allowed": "A key wants a space after its colon, here or in the line above; a text with a colon in it wants quotes",
    "could not find expected ':'": "A key wants a space after its colon, here or in the line above",
    "',' or": "A bracket is not closed or a comma is missing, here or in a line above",
    "unexpected end of stream": "A quotation mark is not closed",
    "did not find expected key": "Indent that line as those beside it; what follows a closing bracket or quotation mark wants a comma",
}
"""What to do about the parser's commonest complaints, by words of theirs."""


def _remedy(problem: str, text: str, mark: yaml.Mark | None) -> str:
    if mark and text[mark.index : mark.index + 1] == "\t":
        return REMEDIES["a tab character"]
    return next((do for words, do in REMEDIES.items() if words in problem), "Mend that line")


class _Yaml12(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # the one in C where PyYAML has it
    """YAML 1.2's booleans, as DVC reads them: `on` is a word. A key that stands twice is refused, as DVC does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping whose keys all differ."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key_node.value} stands twice", key_node.start_mark)
            seen.add(key_node.value)
        built: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return built


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
