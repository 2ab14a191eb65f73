"""YAML into nodes that know their line: the one door at which text becomes structure. Nothing is constructed here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tocsin.config.expand import Unexpandable, expand
from tocsin.config.model import MIB, Problem

MAX_BYTES = MIB
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")
)


@dataclass
class Document:
    """One text with settings: what it is called, where its relative paths begin, and what is wrong with it so far.

    `secret_files` are those that secrets were read from.
    """

    file: str
    folder: Path
    env: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    secret_files: list[Path] = field(default_factory=list)

    def complain(self, line: int | None, name: str, reason: str) -> None:
        """Note one thing that is wrong."""
        self.problems.append(Problem(self.file, line, name, reason))


@dataclass(frozen=True)
class Entry:
    """One value at its place. `name` is the path of the field (`targets[2].step`), `line` counts from one."""

    document: Document
    name: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """The line the value begins on."""
        return int(self.node.start_mark.line) + 1

    def complain(self, reason: str) -> None:
        """Note that this value is wrong."""
        self.document.complain(self.line, self.name, reason)

    @property
    def empty(self) -> bool:
        """Whether nothing is given: `key:`, `key: null`, `key: ~`."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:null"

    @property
    def written(self) -> str:
        """The value as it stands in the file, for messages: references unexpanded, so that no secret is shown."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def expanded(self) -> bool:
        """Whether the value comes from the environment: such a value is never repeated in a message."""
        return "${" in self.written.replace("$$", "")

    def text(self) -> str | None:
        """The scalar's text with `${NAME}` filled in; None after a complaint.

        What the field means decides its type, not how the text looks: `name: 123` and `version: 1.10` stay as written.
        """
        if not isinstance(self.node, yaml.ScalarNode):
            self.complain(f"must be a single value, not a {_kind(self.node)}")
            return None
        if self.node.tag not in _SCALARS:
            self.complain(f"has the tag {self.node.tag}, which means nothing here")
            return None
        try:
            return expand(str(self.node.value), self.document.env)
        except Unexpandable as error:
            self.complain(str(error))
            return None

    def entries(self) -> list["Entry"] | None:
        """The members of a list, each at its own place; None after a complaint."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.complain(f"must be a list, not a {_kind(self.node)}")
            return None
        return [Entry(self.document, f"{self.name}[{i}]", node) for i, node in enumerate(self.node.value)]

    def mapping(self) -> dict[str, "Entry"] | None:
        """The members of a mapping by key, merge keys (`<<`) resolved; None after a complaint."""
        if not isinstance(self.node, yaml.MappingNode):
            self.complain(f"must be a mapping (key: value), not a {_kind(self.node)}")
            return None
        found: dict[str, Entry] = {}
        for key, value in self._own_pairs(self.node):
            if key in found:
                place = Entry(self.document, f"{self.name}.{key}".lstrip("."), value)
                place.complain(f"is given twice; first on line {found[key].line}")
                continue
            found[key] = Entry(self.document, f"{self.name}.{key}".lstrip("."), value)
        for key, value in _merged_pairs(self.node, {id(self.node)}):
            found.setdefault(key, Entry(self.document, f"{self.name}.{key}".lstrip("."), value))
        return found

    def _own_pairs(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.tag != _MERGE:
                    yield str(key.value), value
            else:
                Entry(self.document, self.name, key).complain("a key must be a word, not a list or mapping")


def _merged_pairs(node: yaml.MappingNode, seen: set[int]) -> Iterator[tuple[str, yaml.Node]]:
    """What `<<: *anchor` brings, nearest first. `seen` ends a mapping that merges itself."""
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != _MERGE:
            continue
        for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(part, yaml.MappingNode) or id(part) in seen:
                continue
            seen.add(id(part))
            for inner, wanted in part.value:
                if isinstance(inner, yaml.ScalarNode) and inner.tag != _MERGE:
                    yield str(inner.value), wanted
            yield from _merged_pairs(part, seen)


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "single value" if node.value else "nothing"
    return "list" if isinstance(node, yaml.SequenceNode) else "mapping"


def parse(text: str, document: Document) -> Entry | None:
    """The root of a YAML (or JSON) text; None when it is empty or after a complaint."""
    if len(text) > MAX_BYTES:
        document.complain(None, "", f"is larger than {MAX_BYTES:,} characters")
        return None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.context, error.problem) if part)
        document.complain(None if mark is None else mark.line + 1, "", f"is no valid YAML: {reason}")
        return None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.complain(line, "", f"is no valid YAML: character U+{ord(text[error.position]):04X} is not allowed")
        return None
    except RecursionError:
        document.complain(None, "", "is nested too deeply")
        return None
    return None if root is None else Entry(document, "", root)


def read(path: Path, document: Document) -> Entry | None:
    """The root of a YAML file; None when it is empty or after a complaint."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        document.complain(None, "", f"cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        document.complain(data.count(b"\n", 0, error.start) + 1, "", "is not UTF-8")
        return None
    return parse(text, document)
