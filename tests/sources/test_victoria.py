"""A real VictoriaMetrics that repeats an older value in place of its newest: what comes is what was scraped."""

import time
from datetime import timedelta

import numpy as np
import pytest

from tests.servers import Series, import_into_victoria, victoria_metrics
from tocsin.domain.frame import Window
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource


@pytest.mark.parametrize("step_s", [1, 15])
async def test_the_newest_values_are_the_true_ones(tmp_path, step_s) -> None:
    with victoria_metrics(tmp_path / "victoria") as server:
        end_s = int(time.time()) // step_s * step_s
        samples = [(float(end_s - n * step_s), float(100 - n)) for n in range(40, -1, -1)]
        import_into_victoria(server.url, [Series({"__name__": "newest"}, samples)])
        source = PrometheusSource("victoria", HttpSettings(server.url))
        for asked in (1, 2, 5):
            # The first question finds out what answers, the others know.
            window = Window.aligned(end_s - (asked - 1) * step_s, end_s, step_s)
            frame = await source.query_range("newest", window)
            assert frame.timestamps[-1] == end_s
            assert frame.values.tolist() == [[100.0 - n for n in range(asked - 1, -1, -1)]]
        past = Window(window.start - timedelta(hours=2), window.end - timedelta(hours=2), window.step)
        assert np.isnan((await source.query_range("newest", past)).values).all()
        await source.close()
