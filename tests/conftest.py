"""What holds for every test."""

from hypothesis import settings

# An example has no time limit: a machine that is busy elsewhere is no failure of what is tested. The examples are the
# same in every run, so that a red run is the change's doing; `--hypothesis-profile=hunt` looks for new ones. Both begin
# at "default", by name: where CI is set, hypothesis begins at another profile.
BASE = settings.get_profile("default")
settings.register_profile("repeatable", BASE, deadline=None, derandomize=True)
settings.register_profile("hunt", BASE, deadline=None, print_blob=True)
settings.load_profile("repeatable")
