"""A target in shadow: its alerts are recorded and not told; a switch takes effect at once, also over a restart."""

from dataclasses import replace
from datetime import timedelta

from tests.monitor.scene import MINUTE, START, Scene, spike, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import StoreError
from tocsin.domain.target import Owner


async def firing(**more):
    scene = Scene(target(**more))
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    return scene, monitor


async def test_it_is_recorded_and_counts_for_nobody():
    scene, monitor = await firing(shadow=True)
    (alert,) = await scene.alerts()
    assert (alert.state, alert.shadow) == (AlertState.FIRING, True)
    counts = (await monitor.status()).alerts
    assert (counts.by_state[AlertState.FIRING], counts.unacknowledged, counts.shadow) == (0, 0, 1)
    shown = monitor.exposition().decode()
    assert 'tocsin_alerts{state="firing"} 0.0' in shown
    assert "tocsin_alerts_in_shadow 1.0" in shown
    await monitor.close()


async def test_a_switch_and_back_takes_effect_at_once_and_is_a_transition_each():
    scene, monitor = await firing()
    made = monitor.view("errors").target
    for shadow, reason in ((True, Reason.SHADOWED), (False, Reason.TOLD)):
        await monitor.update_target(replace(made, shadow=shadow), None)
        (alert,) = await scene.alerts()
        assert (alert.shadow, alert.state) == (shadow, AlertState.FIRING), "at once, not at the next sample"
        assert (await scene.transitions())[-1].reason is reason
        await scene.run_for(2 * MINUTE)
        (alert,) = await scene.alerts()
        assert alert.shadow is shadow, "and it stays so"
    await scene.run_for(timedelta(hours=2))
    assert [one.reason for one in await scene.transitions()][-1] is Reason.RECOVERED
    await monitor.close()


async def test_a_switch_that_the_store_did_not_take_is_made_up_for():
    scene, monitor = await firing()
    made = monitor.view("errors").target
    kept = scene.store.save_evaluations

    async def failing(evaluations):
        raise StoreError("disk full")

    scene.store.save_evaluations = failing
    await monitor.update_target(replace(made, shadow=True), None)
    scene.store.save_evaluations = kept
    assert not (await scene.alerts())[0].shadow
    await scene.run_for(5 * MINUTE)
    assert (await scene.alerts())[0].shadow
    await monitor.close()


async def test_a_file_that_changed_while_nothing_ran():
    scene = Scene()
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    mine = target(owner=Owner.FILE)
    await scene.monitor.open([mine])
    await scene.run_for(10 * MINUTE)
    await scene.monitor.close()
    scene.monitor = scene.build()
    await scene.monitor.open([replace(mine, shadow=True)])
    (alert,) = await scene.alerts()
    assert alert.shadow
    assert (await scene.transitions())[-1].reason is Reason.SHADOWED
    await scene.monitor.close()
