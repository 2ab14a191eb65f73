"""Packages that are installed and cannot be imported."""

import sys


def break_package(monkeypatch, folder, package: str, error: str) -> None:
    """From now on `import package` raises `error`, until the test is over."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(folder)
    for name in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
