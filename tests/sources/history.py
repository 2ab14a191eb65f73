"""The known past that every source of the contract suite is loaded with."""

import random
import time
from datetime import UTC, datetime, timedelta

from tests.servers import Series

STEP_S = 15
COUNT = 240
START_S = int(time.time()) // 86400 * 86400 - 2 * 86400 + 3600
END_S = START_S + (COUNT - 1) * STEP_S
START, END, STEP = datetime.fromtimestamp(START_S, UTC), datetime.fromtimestamp(END_S, UTC), timedelta(seconds=STEP_S)
USABLE = 10**6
GAP = range(80, 160)
LATE = range(120, COUNT)

_chance = random.Random(3)
# Millionths: exact in every source, the host's too, where they are quotients of bytes.
USED = {name: [_chance.randrange(USABLE) for _ in range(COUNT)] for name in ("a", "b", "gap", "late")}
VALUES = {name: [used / USABLE for used in each] for name, each in USED.items()}
PRESENT = {
    "a": range(COUNT),
    "b": range(COUNT),
    "gap": [at for at in range(COUNT) if at not in GAP],
    "late": list(LATE),
}


def at(index: int) -> float:
    """Unix seconds of a sample."""
    return float(START_S + index * STEP_S)


SERIES = [
    Series(
        {"__name__": f"contract_{'both' if name in 'ab' else name}", "zone": "z", "instance": name},
        [(at(index), VALUES[name][index]) for index in PRESENT[name]],
    )
    for name in VALUES
]
