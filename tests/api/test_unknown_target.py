"""Alerts and anomalies of a target that is none are not an empty list."""

from datetime import timedelta

import pytest

from tests.api.scene import is_problem
from tests.api.whole import Whole
from tests.monitor.scene import MINUTE, START, noise, target

HISTORY = ("/monitoring/alerts", "/monitoring/anomalies", "/monitoring/anomalies?format=csv")


def burst(grid):
    return noise(grid) + 30.0 * (abs(grid - (START + 10 * MINUTE).timestamp()) < 100)


@pytest.mark.parametrize("path", HISTORY)
async def test_a_target_that_never_was_is_not_found_and_named(path):
    async with Whole(target(query="none")) as whole:
        answer = await whole.client.get(path, params={"target": "typo"})
        assert "there is no target named 'typo'" in is_problem(answer, 404)
        assert (await whole.client.get(path, params={"target": "errors"})).status_code == 200, "it has none yet"
        assert (await whole.client.get(path, params={"target": "datasource:prom"})).status_code == 200
        is_problem(await whole.client.get(path, params={"target": "datasource:typo"}), 404)


@pytest.mark.parametrize("path", HISTORY)
async def test_a_target_that_was_deleted_is_known_by_what_is_kept_of_it(path):
    async with Whole(target(detection_methods=("zscore",))) as whole:
        whole.world.source.play("q", burst)
        await whole.world.run_for(20 * MINUTE)
        assert (await whole.client.delete("/monitoring/targets/errors")).status_code == 204
        answer = await whole.client.get(path, params={"target": "errors"})
        assert answer.json()["total"] if "csv" not in path else "errors" in answer.text
        await whole.world.run_for(timedelta(hours=3))
        late = {"minutes": "60"} if "alerts" in path else {"since": whole.world.clock.now().isoformat()}
        answer = await whole.client.get(path, params={"target": "errors"} | late)
        assert answer.status_code == 200, "it was, if long ago"
        assert answer.json()["total"] == 0 if "csv" not in path else "errors" not in answer.text
