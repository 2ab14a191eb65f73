"""What is refused names the field and says what it may be, in words of its own."""

import pytest

from tests.api.scene import EXAMPLE

BACKTEST, TARGETS = "/monitoring/backtest", "/monitoring/targets"
POINT = {"timestamp": "2025-12-18T19:00:00Z", "value": 1}
NAME_OR_OBJECT = "must be the name of a target, or a JSON object that defines one"
TIME = "must be a time of day from 00:00 to 23:59, like 02:10"
HISTORY = "must be between 0 and 7,776,000 seconds (90 days), not "
TWICE = ["auto", "zscore", "auto"]


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        *((BACKTEST, {"target": wrong, "days": 1}, "target", NAME_OR_OBJECT) for wrong in (5, None, True, ["cpu"])),
        (BACKTEST, {"target": EXAMPLE, "days": 1000}, "days", "must be at most 366"),
        (BACKTEST, {"target": EXAMPLE, "hours": 1e5}, "hours", "must be at most 8,784"),
        (BACKTEST, {"target": EXAMPLE, "days": 0}, "days", "must be above 0"),
        (BACKTEST, {"target": EXAMPLE, "days": 1, "plot_points": 10}, "plot_points", "must be at least 50"),
        (TARGETS, {**EXAMPLE, "history": 7_862_400}, "history", f"{HISTORY}7,862,400"),
        (TARGETS, {**EXAMPLE, "history": 7_776_000.5}, "history", f"{HISTORY}7,776,000.5"),
        (TARGETS, {**EXAMPLE, "step": 0.5}, "step", "must be between 1 and 86,400 seconds (1 day), not 0.5"),
        *((f"{TARGETS}/cpu/recurring/accept", {"around": at}, "around", TIME) for at in ("25:10", "2:10", "12:60", "")),
        (TARGETS, {**EXAMPLE, "detection_methods": []}, "detection_methods", "must have at least 1 item"),
        ("/monitoring/analyze", {"data_points": []}, "data_points", "must have at least 1 item"),
        (TARGETS, {**EXAMPLE, "detection_methods": TWICE}, "detection_methods", "names 'auto' more than once"),
        (
            BACKTEST,
            {"target": EXAMPLE, "days": 1, "change": {"detection_methods": TWICE}},
            "change.detection_methods",
            "names 'auto' more than once",
        ),
        ("/monitoring/analyze", {"data_points": [POINT], "methods": TWICE}, "methods", "names 'auto' more than once"),
    ],
)
async def test_a_refusal_says_what_may_be(client, path, body, field, reason):
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"] == [{"field": field, "reason": reason}]
    assert problem["detail"] == f"{field}: {reason}"


WRONG = {"timezone": "X/Y", "min_effect": -1, "unit": "foo", "sigma_threshold": 99, "lower_bound": 3, "upper_bound": 1}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (TARGETS, {**EXAMPLE, **WRONG}, ""),
        (BACKTEST, {"target": {**EXAMPLE, **WRONG}, "days": 1}, "target."),
        (BACKTEST, {"target": EXAMPLE, "days": 1, "change": WRONG}, "change."),
    ],
)
async def test_all_that_is_wrong_with_a_target_is_said(client, path, body, place):
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {
        place + name for name in WRONG if name != "upper_bound"
    }
