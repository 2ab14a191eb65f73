"""Budgets and habits as tests. Each failure names the file, the line and what to do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "tocsin"

FILE_LINES = 400
FUNCTION_LINES = 70
POSITIONAL = 5
FILE_BYTES = 1_000_000

LOOP_TOPS = {
    ("src/tocsin/monitor/scheduler.py", "_once"): "a target whose evaluation breaks must not end the others",
    ("src/tocsin/monitor/commit.py", "_once"): "an evaluation that breaks the store must not leave the others waiting",
    ("src/tocsin/sources/grafana_link.py", "_keep"): "whatever ends a connection, it is made again",
    ("src/tocsin/sources/host.py", "_run"): "a reading that breaks must not end the sampling",
}
"""Where everything may be caught: function and reason. Nowhere else, not to raise again either (a context manager)."""

HEAVY = ("alembic", "scipy", "mcp", "drain3", "apprise", "matplotlib", "pandas", "sklearn", "statsforecast", "prophet")
"""Slow to import and rarely needed: loaded where they are used, never with the monitor or the command line."""

# Written in parts, so that this file passes its own test.
HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "proxy.go" + "lang.org",
    "index" + "-url",
)
# The home folder of "ann" stands for anybody in examples.
MACHINE_PATH = re.compile(
    r"(?<![\w.~)}\-/*])/(?:" + "|".join(("ro" + "ot", "ho" + "me", "wo" + "rk", "tm" + "p/w")) + r")(?![\w-])(?!/ann\b)"
)
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|raise NotImplemented" + "Error")


@cache
def committed() -> tuple[Path, ...]:
    """Every file that is committed, or would be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return tuple(path for path in (ROOT / name for name in names if name) if path.is_file())


@cache
def python(*folders: str) -> tuple[tuple[str, ast.Module], ...]:
    """The committed modules in some folders, all without any: name and syntax tree."""
    files = [path for path in committed() if path.suffix == ".py"]
    named = [(str(path.relative_to(ROOT)), path) for path in files]
    chosen = [(name, path) for name, path in named if not folders or name.startswith(folders)]
    return tuple((name, ast.parse(path.read_text())) for name, path in chosen)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def none(problems: list[str], what: str) -> None:
    assert not problems, f"{what}:\n  " + "\n  ".join(problems)


def test_the_code_is_found():
    names = [name for name, _ in python("src/")]
    assert "src/tocsin/domain/evaluation.py" in names, "git lists no source files: every other test here would pass"
    assert len(names) > 60


def test_files_are_short():
    long = []
    for name, _ in python():
        count = len((ROOT / name).read_text().splitlines())
        if count > FILE_LINES:
            long.append(f"{name}: {count} lines")
    none(long, f"a file has at most {FILE_LINES} lines; give a part of it a file of its own")


def test_functions_are_short():
    long = []
    for name, tree in python():
        for each in functions(tree):
            count = (each.end_lineno or each.lineno) - each.lineno + 1
            if count > FUNCTION_LINES:
                long.append(f"{name}:{each.lineno}: {each.name} has {count} lines")
    none(long, f"a function has at most {FUNCTION_LINES} lines")


def test_few_positional_parameters():
    many = []
    for name, tree in python("src/", "scripts/", "benchmarks/"):
        for each in functions(tree):
            given = [one.arg for one in (*each.args.posonlyargs, *each.args.args) if one.arg not in ("self", "cls")]
            if len(given) > POSITIONAL:
                many.append(f"{name}:{each.lineno}: {each.name}({', '.join(given)})")
    none(many, f"at most {POSITIONAL} positional parameters; make the others keyword-only")


def broad(handler: ast.ExceptHandler) -> bool:
    caught = [handler.type] if not isinstance(handler.type, ast.Tuple) else handler.type.elts
    names = [one.id for one in caught if isinstance(one, ast.Name)]
    return handler.type is None or not {"Exception", "BaseException"}.isdisjoint(names)


def broad_handlers() -> Iterator[tuple[str, str, int]]:
    """File, innermost function and line of each handler that catches everything."""
    for name, tree in python("src/"):
        owners: dict[ast.ExceptHandler, str] = {}
        for each in functions(tree):  # outer functions come first, so the innermost one stays
            owners.update({node: each.name for node in ast.walk(each) if isinstance(node, ast.ExceptHandler)})
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and broad(node):
                yield name, owners.get(node, "the module"), node.lineno


def test_everything_is_caught_only_at_loop_tops():
    wrong = [f"{name}:{line}: in {owner}" for name, owner, line in broad_handlers() if (name, owner) not in LOOP_TOPS]
    none(wrong, "`except Exception` outside the loop tops: catch what you expect; to clean up, use a context manager")


def test_the_list_of_loop_tops_is_true():
    found = {(name, owner) for name, owner, _ in broad_handlers()}
    none([f"{name}: {owner}" for name, owner in LOOP_TOPS if (name, owner) not in found], "no such handler any more")


def test_nothing_is_left_unfinished():
    found = []
    for name, _ in python("src/"):
        lines = (ROOT / name).read_text().splitlines()
        found += [f"{name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if UNFINISHED.search(line)]
    none(found, "finish it, or leave it out")


def text_of(path: Path) -> str | None:
    data = path.read_bytes()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /ro" + "ot/x", True),
        ("'/ho" + "me/someone/x'", True),
        ("cd /wo" + "rk && ls", True),
        ("~/.local and $HO" + "ME/x", False),
        ("src/ho" + "me/x", False),
        ("GET /wo" + "rkers", False),
        ("/ro" + "ot-cause", False),
    ],
)
def test_what_counts_as_a_machine_path(text: str, found: bool):
    assert bool(MACHINE_PATH.search(text)) is found


def test_no_registry_and_no_machine_in_committed_files():
    found = []
    for path in committed():
        for number, line in enumerate((text_of(path) or "").splitlines(), 1):
            said = [host for host in HOSTS if host in line] or MACHINE_PATH.findall(line)
            if said:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    none(found, "what is committed must name no package registry and no path of one machine")


def test_files_are_small():
    sizes = [(path.stat().st_size, path.relative_to(ROOT)) for path in committed()]
    none(
        [f"{name}: {size:,} bytes" for size, name in sizes if size > FILE_BYTES], f"at most {FILE_BYTES:,} bytes a file"
    )


@pytest.mark.parametrize("module", ["tocsin.monitor.monitor", "tocsin.cli"])
def test_nothing_heavy_is_imported(module: str):
    program = (
        f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"import {module} loads {done.stdout.strip()}: import it where it is used"


def test_every_module_says_what_it_is():
    # An empty __init__.py only marks a package.
    silent = [name for name, tree in python("src/", "scripts/") if tree.body and not ast.get_docstring(tree)]
    none(silent, "a module begins with a sentence that says what it is for")


def test_classes_are_named_after_things():
    vague = []
    for name, tree in python("src/"):
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        vague += [
            f"{name}:{node.lineno}: {node.name}"
            for node in classes
            if re.search(r"(Manager|Helper|Utils?|Service)$", node.name)
        ]
    none(vague, "name a class after the thing that it is (ARCHITECTURE.md, Names)")
