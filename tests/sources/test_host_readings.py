"""What the system says, and what it does not."""

import logging

import psutil
import pytest

from tocsin.sources.host_processes import clean_name, parse_stat
from tocsin.sources.host_readings import SystemReadings

STAT = b"4242 (a) b (c)) R 1 4242 4242 0 -1 4194304 103 0 0 0 250 50 9 9 20 0 1 0 365589 2998272 421 18446744 1"


def test_a_line_of_proc_stat():
    reading = parse_stat(STAT)
    assert reading is not None
    assert (reading.pid, reading.name, reading.started) == (4242, "a) b (c)", 365589.0)
    assert reading.cpu_s == pytest.approx(3.0)
    assert reading.resident_bytes % 421 == 0
    assert parse_stat(b"") is None
    assert parse_stat(STAT[:60]) is None


def test_names_cannot_forge_a_line():
    assert clean_name("a\nb\x1b[31m\u202e") == "a?b?[31m?"
    assert len(clean_name("x" * 1000)) == 64


def test_what_the_system_does_not_offer_is_absent_and_said_once(caplog):
    class Bare(SystemReadings):
        def _disks(self):
            raise psutil.AccessDenied

    with caplog.at_level(logging.WARNING):
        readings = Bare()
        assert readings.read().disks == {}
        assert readings.read().disks == {}
    assert caplog.text.count("disk counters cannot be read") == 1
