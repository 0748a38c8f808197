"""A gateway's folder and the real process that serves it, with simulated money."""

import os
import subprocess
import sys
import time

from bailee import BaileeError, Card, Client

from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.words.clock import SystemClock

# A processor deadline of a tenth of a second: a rotation's pause is eight of them.
_SETTINGS = {
    "BAILEE_PROCESSOR_DEADLINE_SECONDS": "0.1",
    "BAILEE_SETTLE_INTERVAL_SECONDS": "0.2",
    "BAILEE_KEY_UPKEEP_SECONDS": "0.1",
}


class ServedGateway:
    """Comes and goes; ``log`` holds what every process of it wrote."""

    def __init__(self, folder):
        self.folder = folder / "gateway"
        options = InitOptions(listen=f"127.0.0.1:{free_port()}")
        self.bundle = create_gateway(self.folder, options, SystemClock().now()).bundle
        self.log = folder / "serve.log"
        self.process = None

    def start(self, boundary="none", number=1):
        """Starts a process that dies the NUMBER-th time it reaches the boundary."""
        place = [str(self.folder), boundary, str(number)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.gateway_process", *place],
                env=os.environ | _SETTINGS,
                stderr=log,
                stdout=log,
            )

    def wait_until_answering(self):
        with self.client() as client:
            ends = time.monotonic() + 20
            while True:
                try:
                    client.get_card_token("card_none")
                except BaileeError as error:
                    if error.reason:
                        return
                    assert time.monotonic() < ends, self.log.read_text("utf-8")
                    time.sleep(0.05)

    def serve(self):
        self.start()
        self.wait_until_answering()

    def stop(self):
        """Ends it as an operator does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=40)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def client(self):
        return Client.from_bundle(self.bundle, timeout_seconds=10)

    def bailee(self, *names, after=()):
        """Runs a command on the folder, as an operator does."""
        return subprocess.run(
            [
                *(sys.executable, "-m", "gateway.cli.main", *names),
                *(str(self.folder), *map(str, after)),
            ],
            env=os.environ | _SETTINGS,
            capture_output=True,
            text=True,
            check=False,
        )


def a_card(number="4242424242424242"):
    return Card(number=number, expiry_month=12, expiry_year=2031)
