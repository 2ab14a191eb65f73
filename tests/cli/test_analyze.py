"""`tocsin analyze`."""

import json
import random

import pytest


@pytest.fixture
def spike(tmp_path):
    noise = random.Random(1)
    lines = ["timestamp,value"]
    lines += [f"{1764000000 + 60 * i},{95.0 if i == 60 else 50 + noise.gauss(0, 1)}" for i in range(100)]
    path = tmp_path / "spike.csv"
    path.write_text("\n".join(lines))
    return path


def test_a_spike_is_shown(run, spike):
    result = run("analyze", spike)
    assert result.exit_code == 0
    assert "2025-11-24 17:00:00Z" in result.output
    assert "critical" in result.output
    assert "1 anomaly" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_json_has_the_shape_of_the_api(run, spike):
    answer = json.loads(run("analyze", spike, "--json", "--method", "mad", "--name", "cpu").stdout)
    assert answer["metric_name"] == "cpu"
    assert answer["methods"] == ["mad"]
    (found,) = answer["anomalies"]
    assert found["timestamp"] == "2025-11-24T17:00:00Z"
    assert found["value"] == 95
    assert found["method"] == "mad"
    wanted = {"index", "expected_value", "deviation", "sigma", "severity", "confidence", "methods", "explanation"}
    assert wanted <= set(found)
    assert {"patterns", "notes", "anomalies_total", "severity"} <= set(answer)


def test_the_fields_are_those_of_the_api(run, spike):
    from tocsin.api.models_analysis import AnalyzeAnswer, DetectionAnswer, PatternAnswer

    answer = json.loads(run("analyze", spike, "--json").stdout)
    assert set(answer) == set(AnalyzeAnswer.model_fields)
    assert set(answer["anomalies"][0]) == set(DetectionAnswer.model_fields)
    assert all(set(each) == set(PatternAnswer.model_fields) for each in answer["patterns"])


def test_exit_codes(run, spike):
    assert run("analyze", spike, "--fail-on-anomaly").exit_code == 1
    assert run("analyze", "-", "--fail-on-anomaly", text="1,1\n2,1\n3,1\n").exit_code == 0
    assert run("analyze", spike, "--method", "nope").exit_code == 2
    assert run("analyze", spike.parent / "none.csv").exit_code == 2
    assert run("analyze", spike.parent).exit_code == 2


def test_errors_name_file_line_and_column(run, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("timestamp,value\n1,2\n2,oops\n")
    result = run("analyze", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:3:2: 'oops' is no number")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"timestamp,value\n1,2\n2,\xff\n", "3:2"),
        (b"timestamp;\xe9;b\n1;2;3\n", "1:2"),
        (b"\xff\xfet\x00", "1:1"),
        ("time,\u00e9\n1,2\n".encode() + b"\xe9,3\n", "3:1"),
        (b"timestamp,value\n" + b"".join(b"%d,2\n" % i for i in range(20_000)) + b"20000,\xff\n", "20002:2"),
    ],
)
@pytest.mark.parametrize("piped", [False, True])
def test_what_is_not_utf_8_is_refused_where_it_stands(run, tmp_path, content, place, piped):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    result = run("analyze", "-", text=content) if piped else run("analyze", path)
    assert result.exit_code == 2
    assert result.stderr == f"{'stdin' if piped else path}:{place}: is not UTF-8\n"


def test_a_terminal_sees_how_far_it_is(run, spike, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = run("analyze", spike, "--json")
    assert "reading spike.csv" in shown.stderr
    assert "looking for what stands out" in shown.stderr
    assert json.loads(shown.stdout)["anomalies_total"] == 1
    monkeypatch.delenv("FORCE_COLOR")
    assert run("analyze", spike, "--json").stderr == "", "a file or a pipe is spared"


def test_several_series_are_named_and_never_obeyed(run):
    lines = ["time,[red]a[/red],\x1b[2Jb"] + [f"{i},{i % 3 if i != 50 else 90},{i % 2}" for i in range(100)]
    text = "\n".join(lines)
    result = run("analyze", "-", text=text, width=120)
    assert "[red]a[/red]" in result.output
    assert "\x1b" not in result.output
    (found,) = json.loads(run("analyze", "-", "--json", text=text).stdout)["anomalies"]
    assert found["series"] == "[red]a[/red]"


def test_gaps_are_counted(run):
    result = run("analyze", "-", text="\n".join(f"{i},{'' if i == 5 else 1}" for i in range(20)))
    assert "20 samples, 1 gap\n" in result.output
