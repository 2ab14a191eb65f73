"""How quickly a command starts, and what the help says."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "sqlalchemy", "fastapi", "aiohttp", "uvicorn", "alembic", "psutil")


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["targets", "--help"], ["serve", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from tocsin.cli import main
sys.argv = ["tocsin", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "tocsin", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tocsin ")


COMMANDS = [["serve"], ["analyze"], ["backtest"], ["check-config"], ["status"], ["targets", "list"], ["alerts", "ack"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_its_exit_codes(run, command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Exit codes" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_unknown_commands_and_options_are_usage_errors(run):
    assert run("nonsense").exit_code == 2
    assert run("status", "--nonsense").exit_code == 2
