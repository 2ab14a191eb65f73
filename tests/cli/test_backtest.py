"""`tocsin backtest`: the line that people read, changes, incidents, progress, and the picture."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from tocsin.cli.answer import Answer
from tocsin.cli.backtest import headline
from tocsin.cli.picture import picture

HOUR = 3600
START = 1_767_225_600
EVIL = '</text><script>alert(1)</script>"\x1b[31m\u202e\ufffe&'


def iso(at: int) -> str:
    return f"2026-01-01T{(at - START) // HOUR:02}:{(at - START) % HOUR // 60:02}:00Z"


FIRED = {
    "id": "alert:1",
    "labels": {"instance": EVIL},
    "severity": "high",
    "active_at": iso(START + HOUR),
    "starts_at": iso(START + HOUR),
    "ends_at": iso(START + 2 * HOUR),
}
PLOT = {
    "column": 600,
    "timestamps": [START + 600 * n for n in range(72)],
    "series": [
        {
            "labels": {"__name__": "requests", "instance": EVIL},
            "min": [float(n % 7) for n in range(71)] + [None],
            "max": [float(n % 7 + 2) for n in range(71)] + [None],
            "expected": [3.0] * 30 + [None] * 12 + [3.0] * 30,
            "lower": [-1e9] * 72,
            "upper": [1e9] * 72,
            "alerts_total": 1,
            "spans": [FIRED, {**FIRED, "ends_at": None}],
        }
    ],
    "series_total": 3,
    "notes": ["1 of 3 series, those with the most alerts"],
}
RESULT = {
    "target": "error_rate",
    "window": {"start": iso(START), "end": iso(START + 12 * HOUR), "step": 60},
    "series": 3,
    "samples": 4320,
    "evaluations": 288,
    "alerts": [],
    "alerts_total": 6,
    "groups_total": 3,
    "messages_total": 8,
    "anomalies": [],
    "anomalies_total": 9,
    "by_severity": {"high": 6},
    "incidents": {
        "caught": 2,
        "missed": 1,
        "unseen": 1,
        "false_alerts": 1,
        "alerts_in_maintenance": 2,
        "precision": 0.8333,
        "false_alerts_per_series_week": 0.25,
        "items": [
            {"start": iso(START), "end": iso(START + HOUR), "outcome": "caught", "alert_id": "alert:1", "delay_s": 60},
            {"start": iso(START), "end": iso(START + HOUR), "outcome": "missed", "alert_id": None, "delay_s": None},
            {"start": iso(START), "end": iso(START + HOUR), "outcome": "unseen", "alert_id": None, "delay_s": None},
        ],
    },
    "against": {"alerts_total": 10},
    "difference": {
        "alerts": -4,
        "groups": 0,
        "messages": 0,
        "alerts_added": 1,
        "alerts_gone": 25,
        "alerts_kept": 5,
        "added": [FIRED],
        "gone": [FIRED] * 25,
        "incidents_gained": [],
        "incidents_lost": [1],
    },
    "plot": PLOT,
    "judged": True,
    "warnings": ["partial"],
}


def in_lines(result: object, key: str = "result") -> bytes:
    told = [{"progress": 0.0}, {"progress": 0.4}, {"progress": 0.9}, {key: result}]
    return "".join(json.dumps(line) + "\n" for line in told).encode()


@pytest.fixture
def told(server):
    server.answer("POST", "/monitoring/backtest", in_lines(RESULT))
    server.content_type = "application/x-ndjson"
    return server


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "incidents: 2 of 3 caught, 1 without a sample; against the saved target: 4 alerts fewer, "),
        ({"incidents": {"caught": 2, "missed": 1, "unseen": 0}}, "8 messages; incidents: 2 of 3 caught; against the"),
        ({"series": 0, "alerts_total": 0}, "nothing was judged: no series"),
        ({"judged": False, "warnings": ["partial", "nothing was judged: no sample"]}, "nothing was judged: no sample"),
        ({"judged": False, "warnings": []}, "nothing was judged"),
        ({"incidents": None, "difference": None, "alerts_total": 1}, "1 alert, 3 groups, 8 messages"),
        ({"difference": {"alerts": 0, "messages": 0, "alerts_added": 0}}, "against the saved target: no difference"),
        ({"difference": {"alerts": 0, "alerts_added": 2}}, "as many alerts, 2 of them other ones"),
        ({"difference": {"alerts": 1, "messages": 3, "incidents_gained": [0]}}, "1 alert more, 3 messages more, 1 inc"),
    ],
)
def test_the_line_that_people_read(changes, said):
    assert said in headline(Answer({**RESULT, **changes}))


def test_a_change_and_incidents_are_asked_and_shown(run, told):
    incident = "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"
    result = run(
        "backtest", "error_rate", "--days", "14", "--set", "severity_threshold=high", "--set", "min_effect=2",
        "--set", "detection_methods=zscore,mad", "--incident", incident,
    )  # fmt: skip
    assert result.exit_code == 0
    assert told.asked[0]["body"] == {
        "target": "error_rate",
        "days": 14.0,
        "change": {"severity_threshold": "high", "min_effect": 2, "detection_methods": ["zscore", "mad"]},
        "incidents": [{"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}],
    }
    text = " ".join(result.output.split())
    for words in (
        "last 14 days: 6 alerts, 3 groups, 8 messages; incidents: 2 of 3 caught, 1 without a sample; against the",
        "4 alerts fewer, 1 incident lost",
        "83% of all alerts lie in an incident; 0.25 a series and week; 2 alerts in a marked maintenance",
        "alerts that stay: 5; gone: 25; new: 1",
        "the first 20 of each",
        "caught 60 s alert:1",
    ):
        assert words in text
    assert max(map(len, result.output.splitlines())) <= 80
    assert "\x1b" not in result.output


def test_json_is_the_result_and_nothing_else(run, told):
    result = run("backtest", "error_rate", "--json")
    assert json.loads(result.stdout) == RESULT


def test_a_problem_on_the_way_and_an_answer_that_breaks_off(run, told):
    problem = {"status": 504, "title": "Gateway Timeout", "detail": "the datasource is slow", "errors": []}
    told.answer("POST", "/monitoring/backtest", in_lines(problem, "problem"))
    result = run("backtest", "error_rate")
    assert result.exit_code == 4
    assert "the server refused (504): the datasource is slow" in result.output
    told.answer("POST", "/monitoring/backtest", b'{"progress": 0.1}\n{"progress": 0.2}\n')
    assert run("backtest", "error_rate").exit_code == 4
    told.answer("POST", "/monitoring/backtest", b'{"progress": 0.1}\n{"resul')
    assert run("backtest", "error_rate").exit_code == 4


@pytest.mark.parametrize(
    "options",
    [
        ["--incident", "yesterday"],
        ["--incident", "/x"],
        ["--set", "high"],
        ["--plot", "out.png"],
        ["--plot", "/nowhere/out.svg"],
    ],
)
def test_what_cannot_be_read_is_refused_before_it_is_asked(run, told, options):
    assert run("backtest", "error_rate", *options).exit_code == 2
    assert told.asked == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "366.5", "1e400"])
def test_a_past_that_is_none_is_said_with_what_it_may_be(run, told, value):
    for option, most in (("--days", 366), ("--hours", 8784)):
        result = run("backtest", "error_rate", f"{option}={float(value) * most / 366}", width=200)
        assert result.exit_code == 2
        assert f"{option}: must be a number above 0 and at most {most}, not " in result.output
    assert told.asked == []


def test_the_picture_is_written(run, told, tmp_path):
    path = tmp_path / "out.svg"
    result = run("backtest", "error_rate", "--days", "2", "--plot", path, "--plot-series", "3")
    assert result.exit_code == 0
    assert told.asked[0]["body"] == {"target": "error_rate", "days": 2.0, "plot": True, "plot_series": 3}
    assert str(path) in "".join(result.output.split())
    assert ET.fromstring(path.read_text()).tag.endswith("svg")
    assert run("backtest", "error_rate", "--plot", tmp_path / "none" / "out.svg").exit_code == 2


def drawn(**changes):
    text = picture(
        Answer({**RESULT, "plot": {**PLOT, **changes}}), "error_rate", "6 alerts", [(iso(START), iso(START))]
    )
    return text, ET.fromstring(text)


def texts(root: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}text")]


def test_the_picture_shows_values_band_alerts_incidents_and_time():
    text, root = drawn()
    kinds = [each.get("class") for each in root.iter()]
    assert kinds.count("alert") == 2
    assert {"band", "wide", "line", "expected", "incident"} <= set(kinds)
    assert any("02:00" in each for each in texts(root))
    assert any("1 of 3 series" in each for each in texts(root))
    assert "prefers-color-scheme: dark" in text
    assert "nan" not in text.lower().replace("sans", "")
    (expected,) = [each.get("d") for each in root.iter() if each.get("class") == "expected"]
    assert expected.count("M") == 2, "a gap is not drawn over"


@pytest.mark.parametrize(
    ("low", "high", "unit", "said"),
    [
        (0.0, 17 * 2.0**30, "bytes", {"0 GiB", "5 GiB", "10 GiB", "15 GiB"}),
        (0.0, 3.3e7, "", {"0 M", "10 M", "20 M", "30 M"}),
        (0.0, 3e2, "seconds", {"0 min", "2 min", "4 min"}),
        (1000.0, 1001.0, "", {"1,000.0", "1,000.5", "1,001.0"}),
        (97.0, 100.0, "percent", {"97 %", "98 %", "99 %", "100 %"}),
        (-2e300, 2e300, "", {"-2e+300", "0", "2e+300"}),
        (1e9, 1e9 + 4, "", {"1.000000000 G", "1.000000004 G"}),
    ],
)
def test_labels_of_values_are_short_have_the_unit_and_are_never_cut(low, high, unit, said):
    one = {**PLOT["series"][0], "min": [low] * 72, "max": [high] * 72, "lower": [low] * 72, "upper": [high] * 72}
    _, root = drawn(series=[one], unit=unit)
    marks = [each for each in root.iter() if each.tag.endswith("}text") and each.get("text-anchor") == "end"]
    labels = {"".join(each.itertext()): float(each.get("x")) for each in marks}
    assert said <= set(labels)
    assert all(8 * len(label) <= x for label, x in labels.items())


def test_all_of_the_headline_is_shown():
    said = headline(Answer(RESULT)) + "; and so on" * 9
    text = picture(Answer(RESULT), "error_rate", said, [])
    assert "1 incident lost" in " ".join(texts(ET.fromstring(text)))
    assert " ".join(texts(ET.fromstring(text))).count("and so on") == 9


def test_labels_in_the_picture_are_text_and_nothing_else():
    text, root = drawn()
    assert not [each for each in root.iter() if "script" in each.tag]
    (name,) = [each for each in texts(root) if "instance" in each]
    assert '</text><script>alert(1)</script>"' in name
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e\ufffe]", text)


@pytest.mark.parametrize("values", [[5.0] * 72, [1e300, -1e300] * 36, [1e-300] * 72, [None] * 72, [0.0] * 72])
def test_any_values_are_drawn(values):
    one = {**PLOT["series"][0], "min": values, "max": values, "lower": values, "upper": values, "expected": values}
    text, _ = drawn(series=[one])
    numbers = [float(each) for each in re.findall(r'(?:x|y|width|height)="(-?[\d.e+]+)"', text)]
    assert all(-2000 < each < 5000 for each in numbers)
    drawn(series=[])
