"""What holds for every test."""

import os

from hypothesis import settings

# What a CI asks of terminals would colour the output that tests read; typer looks when it is imported.
for wish in ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"):
    os.environ.pop(wish, None)

# An example has no time limit: a machine that is busy elsewhere is no failure of what is tested. The examples are the
# same in every run, so that a red run is the change's doing; `--hypothesis-profile=hunt` looks for new ones. Both begin
# at "default", by name: where CI is set, hypothesis begins at another profile.
BASE = settings.get_profile("default")
settings.register_profile("repeatable", BASE, deadline=None, derandomize=True)
settings.register_profile("hunt", BASE, deadline=None, print_blob=True)
settings.load_profile("repeatable")
