"""What recurs is accepted by the labels and about the time that people name."""

from datetime import timedelta

import pytest

from tests.monitor.scene import START, Scene, noise, target
from tests.store.builders import alert, begun
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import Conflict, Invalid, NotFound, StoreError
from tocsin.domain.labels import Labels

DAY = timedelta(days=1)


def nightly(clock, day=0, name="backup_io", **labels):
    """An alert at a time of day, so many days before today."""
    hours, minutes = map(int, clock.split(":"))
    at = START.replace(hour=0, minute=0) + timedelta(hours=hours, minutes=minutes) - day * DAY
    over = at + timedelta(minutes=5)
    series = Labels({"__name__": "io", **labels})
    return alert(at=at, target_name=name, labels=series, state=AlertState.RESOLVED, ends_at=over, updated_at=over)


async def recurring(*series, timezone="UTC") -> Scene:
    """A monitor that has seen alerts on the last four days, of series with these times of day and labels."""
    scene = Scene(target("backup_io", timezone=timezone))
    for clock, labels in series:
        await scene.store.save_evaluations([begun(nightly(clock, day, **labels)) for day in range(1, 5)])
    await scene.open()
    return scene


TWO = (("02:10", {"disk": "sda", "host": "a"}), ("02:14", {"disk": "sdb", "host": "a"}))


async def accept(scene, around, who="ann", **labels):
    hours, minutes = map(int, around.split(":"))
    feedback = scene.monitor.feedback
    accepted = await feedback.accept_recurring("backup_io", Labels(labels), hours * 60 + minutes, who=who, note="")
    assert accepted.ended == []
    return accepted.acceptances


@pytest.mark.parametrize(
    ("around", "labels", "disks"),
    [
        ("02:10", {"disk": "sda"}, {"sda"}),
        ("02:05", {"host": "a", "disk": "sdb"}, {"sdb"}),
        ("02:10", {"__name__": "io", "disk": "sda", "host": "a"}, {"sda"}),
        ("02:12", {"host": "a"}, {"sda", "sdb"}),
        ("02:20", {}, {"sda", "sdb"}),
        ("02:00", {}, {"sda"}),
        ("02:24", {}, {"sdb"}),
    ],
)
async def test_labels_select_series_and_the_time_need_not_be_exact(around, labels, disks):
    scene = await recurring(*TWO)
    made = await accept(scene, around, **labels)
    assert {one.labels["disk"] for one in made} == disks
    assert list(scene.monitor.feedback.acceptances()) == sorted(made, key=lambda one: one.id)
    for clock, series in TWO:
        expected = scene.monitor.feedback.expected_by(nightly(clock, -1, **series))
        assert (expected is not None) is (series["disk"] in disks)
        assert expected is None or expected.labels == Labels({"__name__": "io", **series})
    await scene.monitor.close()


async def test_the_same_level_is_accepted_once():
    scene = Scene(target())
    scene.source.play("q", noise, {"instance": "a"})
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=20))
    level = monitor.feedback.accept_level
    (one,) = (await level("errors", Labels(), START, who="ann", note="")).acceptances
    with pytest.raises(Conflict, match=f"the same level is accepted already: '{one.id}'"):
        await level("errors", Labels(), START, who="bob", note="again")
    await level("errors", Labels(), START + timedelta(minutes=1), who="ann", note="another instant")
    await level("errors", Labels({"instance": "a"}), START, who="ann", note="other series")
    await monitor.feedback.end_acceptance(one.id, "ann")
    await level("errors", Labels(), START, who="ann", note="that one was taken back")
    await monitor.close()


async def test_the_time_is_that_of_the_target_and_near_over_midnight():
    scene = await recurring(("22:58", {"disk": "sda"}), timezone="Europe/Berlin")
    (one,) = await accept(scene, "00:06")
    assert str(one.slot) == "23:38 to 00:18 Europe/Berlin"
    await scene.monitor.close()


SDA, SDB = 'io{disk="sda", host="a"} around 02:10 UTC', 'io{disk="sdb", host="a"} around 02:14 UTC'


@pytest.mark.parametrize(
    ("around", "labels", "which", "known"),
    [
        ("05:00", {}, "", (SDB, SDA)),
        ("02:10", {"disk": "sdc"}, ' that carries {disk="sdc"}', (SDA, SDB)),
        ("01:59", {"disk": "sdb"}, ' that carries {disk="sdb"}', (SDB, SDA)),
    ],
)
async def test_where_nothing_is_meant_it_is_said_what_recurs(around, labels, which, known):
    scene = await recurring(*TWO)
    with pytest.raises(NotFound) as caught:
        await accept(scene, around, **labels)
    nothing = f"no series of target 'backup_io'{which} recurs within 10 minutes of {around}"
    assert str(caught.value) == f"{nothing}; what recurs: {', '.join(known)}"
    assert not scene.monitor.feedback.acceptances()
    await scene.monitor.close()


async def test_of_much_that_recurs_five_are_said_and_of_nothing_that():
    scene = await recurring(*((f"0{hour}:00", {"disk": f"sd{hour}"}) for hour in range(7)))
    with pytest.raises(NotFound, match=r"sd6.*sd5.*sd4.*sd3.*sd2.* 02:00 UTC, and 2 more$"):
        await accept(scene, "07:00")
    await scene.monitor.close()
    scene = await recurring()
    with pytest.raises(NotFound, match="^nothing of target 'backup_io' recurs by the clock$"):
        await accept(scene, "07:00")
    await scene.monitor.close()


async def test_what_is_accepted_anew_ends_what_was_accepted_of_the_same_before():
    scene = await recurring(*TWO, ("09:00", {"disk": "sda", "host": "a"}))
    feedback = scene.monitor.feedback
    other, sdb = await accept(scene, "09:00"), await accept(scene, "02:10", disk="sdb")
    (old,) = await accept(scene, "02:10", disk="sda")
    scene.clock.jump_to(scene.clock.now() + timedelta(hours=1))
    (new,) = await accept(scene, "02:12", "bob", disk="sda")
    now = scene.clock.now()
    known = {one.id: one for one in feedback.acceptances()}
    assert (known[old.id].ended_at, known[old.id].ended_by) == (now, "bob")
    assert {one.id for one in known.values() if one.holds(now)} == {new.id, other[0].id, sdb[0].id}
    tomorrow = nightly("02:10", -1, disk="sda", host="a")
    assert feedback.expected_by(tomorrow) == new
    await feedback.end_acceptance(new.id, "ann")
    assert feedback.expected_by(tomorrow) is None
    await scene.restart()
    assert scene.monitor.feedback.expected_by(tomorrow) is None
    assert scene.monitor.feedback.expected_by(nightly("02:10", -1, disk="sdb", host="a")) == sdb[0]
    await scene.monitor.close()


async def test_it_is_known_as_the_same_although_it_comes_a_little_later_by_now():
    scene = await recurring(("02:10", {"disk": "sda"}))
    (old,) = await accept(scene, "02:10")
    later = [begun(nightly("02:20", day, disk="sda")) for day in (-1, -2, -3)]
    await scene.store.save_evaluations(later)
    scene.clock.jump_to(START + 12 * DAY)
    (new,) = await accept(scene, "02:20")
    assert new.slot != old.slot
    assert [one.id for one in scene.monitor.feedback.acceptances() if one.ended_at is None] == [new.id]
    await scene.monitor.close()


async def test_what_cannot_be_kept_leaves_the_older_acceptance_in_force(monkeypatch):
    scene = await recurring(*TWO)
    made = await accept(scene, "02:10")

    async def full(keep):
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(scene.store, "save_acceptances", full)
        with pytest.raises(StoreError):
            await accept(scene, "02:10")
    assert {one.id for one in scene.monitor.feedback.acceptances()} == {one.id for one in made}
    assert all(one.ended_at is None for one in scene.monitor.feedback.acceptances())
    await scene.monitor.close()


async def test_it_lasts_no_longer_than_a_year():
    scene = await recurring(*TWO)
    accepting = scene.monitor.feedback.accept_recurring
    for lasting in (timedelta(0), 366 * DAY):
        with pytest.raises(Invalid, match="expires_after"):
            await accepting("backup_io", Labels(), 130, who="ann", note="", expires_after=lasting)
    accepted = await accepting("backup_io", Labels(), 130, who="ann", note="", expires_after=365 * DAY)
    assert {one.expires_at for one in accepted.acceptances} == {scene.clock.now() + 365 * DAY}
    await scene.monitor.close()
