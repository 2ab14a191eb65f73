"""The host history that outlives the process."""

import logging
import stat

import numpy as np
import pytest

from tests.sources.readings import T0, Clock, ScriptedReadings, burning, filled, machine, values, window
from tocsin.domain.labels import Labels
from tocsin.sources.host import HostSettings, HostSource
from tocsin.sources.host_file import FILE_NAME, encode_past
from tocsin.sources.host_history import Past
from tocsin.sources.host_metrics import METRICS


async def test_the_history_outlives_the_process(tmp_path):
    folder = tmp_path / "state"
    first, clock = await filled(burning, 40, state_dir=folder)
    before = {metric.name: await values(first, metric.name, window(0, 39)) for metric in METRICS}
    await first.close()
    await first.close()
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]

    second = HostSource(HostSettings(state_dir=folder), readings=ScriptedReadings(burning), now=clock)
    clock.at += 20.0
    await second.load()
    await second.sample()
    for metric in METRICS:
        after = await values(second, metric.name, window(0, 39))
        assert after.keys() == before[metric.name].keys()
        for name, row in after.items():
            assert np.array_equal(row, before[metric.name][name], equal_nan=True)
    [load] = (await values(second, "host_load1", window(38, 49))).values()
    assert load[:2] == [1.5, 1.5]
    assert np.isnan(load[2:11]).all()
    assert load[11] == 1.5


async def test_a_history_of_another_time_or_period_is_left(tmp_path):
    first, clock = await filled(machine, 5, state_dir=tmp_path)
    await first.close()
    for later, more in ((8000.0, {}), (-100.0, {}), (0.0, {"period_s": 1.0})):
        again = HostSource(
            HostSettings(state_dir=tmp_path, **more), readings=ScriptedReadings(machine), now=Clock(clock.at + later)
        )
        await again.load()
        assert await values(again, "host_load1", window(0, 5)) == {}


PAST = Past(2.0, int(T0 / 2), (Labels({"__name__": "host_load1"}),), np.ones((1, 3)))
GOOD = encode_past(PAST)


@pytest.mark.parametrize(
    ("content", "aside"),
    [
        (b"", "corrupt"),
        (b"\x80\x04\x95pickle", "corrupt"),
        (GOOD[:-9], "corrupt"),
        (GOOD[:30], "corrupt"),
        (GOOD.replace(b'"ticks":3', b'"ticks":4'), "corrupt"),
        (GOOD.replace(b'"ticks":3', b'"ticks":999999999'), "corrupt"),
        (GOOD.replace(b'"ticks":3', b'"ticks":-3'), "corrupt"),
        (GOOD.replace(b'"crc32":', b'"crc32":1'), "corrupt"),
        (GOOD.replace(b"__name__", b"__mane__"), "corrupt"),
        (GOOD.replace(b"history 1\n", b"history 2\n"), "newer"),
    ],
)
async def test_a_file_that_cannot_be_used_is_set_aside(tmp_path, caplog, content, aside):
    (tmp_path / FILE_NAME).write_bytes(content)
    source = HostSource(HostSettings(state_dir=tmp_path), readings=ScriptedReadings(machine), now=Clock())
    with caplog.at_level(logging.WARNING):
        await source.load()
    assert (tmp_path / f"{FILE_NAME}.{aside}").read_bytes() == content
    assert not (tmp_path / FILE_NAME).exists()
    assert "set aside" in caplog.text
    await source.sample()
    await source.close()
    assert (tmp_path / FILE_NAME).exists()


async def test_a_folder_that_cannot_be_written_is_said_not_raised(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    source, _ = await filled(machine, 2, state_dir=tmp_path / "file" / "state")
    with caplog.at_level(logging.WARNING):
        await source.close()
    assert "cannot be kept" in caplog.text
    assert source.failures == 1
