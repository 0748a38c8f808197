"""kill -9 between every two steps of a rotation. covers: I5, I10.

After the restart the rotation goes on by itself; every card opens, the old epoch key is
gone, and the logs verify.
"""

import time

import pytest

from gateway.adapters import open_keys
from gateway.cli.audit import verify_gateway_at
from gateway.config import Settings
from gateway.keys.rotate_epoch import RotationStep
from gateway.storage.key_inventory import open_key_inventory
from gateway.words.clock import SystemClock
from tests.builders.served_gateway import ServedGateway, a_card
from tests.processes.test_key_rotation import charge

pytestmark = pytest.mark.process


@pytest.fixture
def site(tmp_path):
    made = ServedGateway(tmp_path)
    yield made
    made.kill()


def wait_until(holds, what, seconds=30):
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def test_a_rotation_ends_wherever_it_was_killed(site, capsys):
    settings = Settings.read(site.folder)
    site.serve()
    with site.client() as client:
        tokens = [client.tokenize_card(a_card()).card_token.name for _ in range(20)]
    site.stop()
    killed = []
    for step in RotationStep:
        [old] = open_keys(settings).epochs()
        site.start(step.name)
        open_keys(settings).ask_for_rotation(SystemClock().now())
        wait_until(lambda: site.process.poll() is not None, f"never {step.value}")
        killed.append(step)
        site.serve()

        def ended(old=old):
            held = open_keys(settings).epochs()
            return len(held) == 1 and held != (old,)

        wait_until(ended, f"did not end after {step.value}")
        with site.client() as client:
            for token in (tokens[0], tokens[-1]):
                charge(client, token)
        site.stop()

    with capsys.disabled():
        print()
        for step in killed:
            print(f"  killed {step.value}")
    assert killed == list(RotationStep)
    with open_key_inventory(settings.path("database")) as inventory:
        [held] = open_keys(settings).epochs()
        used = {row.epoch for row in inventory.wrapping_keys() if row.copies}
    assert used == {held}
    assert verify_gateway_at(settings, "shop").startswith("ok")
