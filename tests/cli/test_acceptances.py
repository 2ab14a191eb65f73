"""What was accepted is listed, taken back, and said how."""

import json

import pytest

ACCEPTED = {
    "id": "accepted:0123456789abcdef",
    "kind": "recurring",
    "target": "backup_io",
    "labels": {"disk": "sda"},
    "at": "2026-01-31T12:00:00Z",
    "who": "ann",
    "note": "the nightly backup",
    "since": None,
    "slot": {"begin": "01:50", "end": "02:30", "timezone": "UTC", "weekdays": []},
    "sigma": None,
    "expires_at": "2026-05-01T12:00:00Z",
    "ended_at": None,
    "ended_by": "",
}


def listed(*items):
    return {"items": list(items), "total": len(items), "next": None}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], [("in_force", "true")]),
        (["--all"], [("in_force", "false")]),
        (["--target", "backup_io"], [("in_force", "true"), ("target", "backup_io")]),
    ],
)
def test_those_in_force_are_listed_and_with_all_the_others_too(run, server, options, asked):
    server.answer("GET", "/monitoring/acceptances", listed(ACCEPTED))
    text = run("acceptances", "list", *options, width=120).output
    assert server.asked[0]["query"] == [("limit", "1000"), *asked]
    for word in (
        ACCEPTED["id"],
        "recurring",
        'backup_io {disk="sda"}',
        "ann at 2026-01-31 12:00:00Z: the nightly backup",
    ):
        assert word in text
    assert "alerts that begin 01:50 to 02:30 UTC are expected" in text
    assert "until 2026-05-01 12:00:00Z" in text
    assert text.splitlines()[-1].startswith("1 acceptance")
    assert json.loads(run("acceptances", "list", *options, "--json").stdout) == listed(ACCEPTED)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "level", "slot": None, "since": "2026-01-30T12:00:00Z"}, "normal since 2026-01-30 12:00:00Z"),
        ({"kind": "excluded", "slot": None}, "no alert begins"),
        (
            {"kind": "hours", "sigma": 6.5, "slot": {**ACCEPTED["slot"], "weekdays": [0, 6]}},
            "alerts begin at 6.5 sigma 01:50 to 02:30 UTC on Monday, Sunday",
        ),
        ({"ended_at": "2026-02-01T12:00:00Z", "ended_by": "bob"}, "ended by bob at 2026-02-01 12:00:00Z"),
    ],
)
def test_each_kind_says_what_it_does_and_whether_it_is_over(run, server, changes, said):
    server.answer("GET", "/monitoring/acceptances", listed({**ACCEPTED, **changes}))
    assert said in run("acceptances", "list", "--all", width=150).output


def test_nothing_in_force_is_said(run, server):
    server.answer("GET", "/monitoring/acceptances", listed())
    assert run("acceptances", "list").output == "0 acceptances in force; --all shows also those that are over\n"


def test_an_acceptance_is_taken_back_by_whom(run, server):
    path = f"/monitoring/acceptances/{ACCEPTED['id']}/end"
    over = {**ACCEPTED, "ended_at": "2026-02-01T12:00:00Z", "ended_by": "bob"}
    server.answer("POST", path, over)
    result = run("acceptances", "end", ACCEPTED["id"], "--who", "bob")
    assert server.asked[0]["body"] == {"who": "bob"}
    assert result.output == f'ended: {ACCEPTED["id"]}, recurring of backup_io {{disk="sda"}}\n'
    assert json.loads(run("acceptances", "end", ACCEPTED["id"], "--json").stdout) == over
    assert server.asked[1]["body"]["who"]
    server.answer("POST", path, {"detail": "was taken back already"}, 409)
    assert "taken back already" in run("acceptances", "end", ACCEPTED["id"]).stderr


def test_accepting_says_how_to_take_it_back(run, server):
    path = "/monitoring/targets/backup_io/recurring/accept"
    server.answer("POST", path, {"acceptances": [ACCEPTED], "ended": []})
    lines = run("targets", "accept", "backup_io", "--around", "02:10", "--label", "disk=sda", width=120).output
    assert server.asked[0]["body"]["labels"] == {"disk": "sda"}
    assert f'{ACCEPTED["id"]}: recurring of {{disk="sda"}}, 01:50 to 02:30 UTC, until 2026-05-01' in lines
    assert f"to take it back: tocsin acceptances end {ACCEPTED['id']}\n" in lines
    other = {**ACCEPTED, "id": "accepted:1", "labels": {"disk": "sdb"}}
    server.answer("POST", path, {"acceptances": [ACCEPTED, other], "ended": []})
    lines = run("targets", "accept", "backup_io", "--around", "02:10", width=120).output
    assert 'accepted:1: recurring of {disk="sdb"}' in lines
    assert "to take one back: tocsin acceptances end ID\n" in lines


def test_what_nothing_was_compared_of_or_ended_by_is_said_plainly(run, server):
    level = {**ACCEPTED, "kind": "level", "slot": None}
    for verb, made in (("accept", level), ("recurring/accept", ACCEPTED)):
        server.answer("POST", f"/monitoring/targets/backup_io/{verb}", {"acceptances": [made], "ended": []})
    assert "no alert of it was active" in run("targets", "accept", "backup_io", "--at", "2026-01-30T12:00:00Z").output
    assert "no alert" not in run("targets", "accept", "backup_io", "--around", "02:10").output

    window = {"id": "window:1", "kind": "incident", "start": ACCEPTED["at"], "end": ACCEPTED["expires_at"]}
    marking = {"window": window, "bands": [], "bands_changed": 0, "bands_compared": 0, "notes": ["cpu: no history"]}
    server.answer("POST", "/monitoring/windows", marking)
    add = ("windows", "add", "incident", "--start", ACCEPTED["at"], "--end", ACCEPTED["expires_at"])
    text = run(*add).output
    assert "no band was compared\ncpu: no history" in text
    server.answer("POST", "/monitoring/windows", {**marking, "bands_compared": 3})
    assert "0 of 3 bands compared changed" in run(*add).output
