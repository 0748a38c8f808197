"""``make demo-audit``: every attack is caught where it can be. covers: I7."""

import re

import pytest

from tests.processes.test_first_minutes import bailee

pytestmark = pytest.mark.process


def test_names_for_every_attack_who_catches_it():
    done = bailee("demo-audit")

    assert done.returncode == 0, done.stderr
    assert re.search(r"[5-9]\d\d calls, 1\d\d\d entries.*no finding", done.stdout)
    attacks = re.findall(r"^ ?\d+\. (.+)$", done.stdout, re.MULTILINE)
    judged = re.findall(r"^    (caught by .+|not detectable .+)$", done.stdout, re.M)
    assert len(attacks) == len(judged) >= 11
    for who in ("receipt", "cosigned checkpoint", "request journal", "processor's rec"):
        assert any(who in line for line in judged)
    undetectable = [line for line in judged if line.startswith("not detectable")]
    assert len(undetectable) == 2
