"""The Loki of a Grafana: its counts have the zeros of a Loki that is asked directly."""

import numpy as np
import pytest

from tests.sources.grafana_parts import connected
from tests.sources.history import END, START, STEP
from tocsin.domain.errors import Invalid
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal, asked
from tocsin.monitor.caches import Caches
from tocsin.monitor.clock import ManualClock

WHOLE = Window(START, END, STEP)


async def test_loki_counts_are_zero_while_the_stream_lives(grafana) -> None:
    first, step_s = int(START.timestamp()), int(WHOLE.step_s)
    grafana.set(written=[[(first + 2) * 10**9, "level=info", {"app": "web"}]])
    async with connected(grafana) as (_, found):
        frame = await found["loki"].query_range(f"sum by (app) (count_over_time({{app=`web`}}[{step_s}s]))", WHOLE)
    [labels], [row] = frame.labels, frame.values.tolist()
    assert labels == Labels({"app": "web"})
    alive = (900 + step_s + 2) // step_s
    assert row[1 : alive + 1] == [1.0, *[0.0] * (alive - 1)]
    assert np.isnan(row[alive + 1 :]).all()


async def test_which_labels_make_streams_is_asked_for_once(grafana) -> None:
    first, step_s = int(START.timestamp()), int(WHOLE.step_s)
    grafana.set(written=[[(first + 2) * 10**9, "level=info", {"app": "web"}]])
    caches = Caches.empty(ManualClock(START).now)
    async with connected(grafana, caches) as (_, found):
        for stage in ("", ' |= "info"', ' |= "level"'):
            query = f'sum by (app) (count_over_time({{app="web"}}{stage}[{step_s}s]))'
            frame = await found["loki"].query_range(query, WHOLE)
            assert frame.values[0, 1:3].tolist() == [1.0, 0.0]
    names = [one for one in grafana.requests() if one["path"].endswith("/labels")]
    assert len(names) == 1
    assert [kind.missed for kind in caches.stats() if kind.name == "metadata"] == [1]


async def test_templates_are_refused_with_the_way_to_have_them(grafana) -> None:
    async with connected(grafana) as (_, found):
        with pytest.raises(Invalid, match="asked directly") as caught:
            found["loki"].check_query(asked('{app="web"}', LogSignal.TEMPLATES, 60))
    assert caught.value.field == "log_signal"
