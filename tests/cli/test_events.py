"""`tocsin events` against a fake server."""

EVENT = {
    "id": "event:1",
    "kind": "deploy",
    "at": "2026-01-31T12:00:00Z",
    "title": "checkout [red]1.42",
    "target": None,
    "labels": {"service": "checkout"},
    "source": "api",
    "url": "",
}


def test_an_event_is_told_listed_and_forgotten(run, server):
    server.answer("POST", "/events", EVENT, 201)
    told = run("events", "add", "checkout 1.42", "--label", "service=checkout", "--key", "k", "--link", "https://ci")
    body = {
        "title": "checkout 1.42",
        "kind": "deploy",
        "labels": {"service": "checkout"},
        "url": "https://ci",
        "key": "k",
    }
    assert server.asked[0]["body"] == body
    assert told.output.strip() == "event:1: deploy at 2026-01-31 12:00:00Z"
    server.answer("GET", "/events", {"items": [EVENT], "total": 3, "next": None})
    listed = run("events", "list", "--since", "2026-01-31T00:00:00Z", "--target", "cpu", "--limit", "1", width=140)
    assert server.asked[-1]["query"] == [("limit", "1"), ("since", "2026-01-31T00:00:00Z"), ("target", "cpu")]
    for word in ("checkout [red]1.42", 'all {service="checkout"}', "1 of 3 events"):
        assert word in listed.output
    server.answer("DELETE", "/events/event:1", None, 204)
    assert run("events", "delete", "event:1").output.strip() == "event:1: forgotten"
    assert run("events", "delete", "event:2").exit_code != 0
