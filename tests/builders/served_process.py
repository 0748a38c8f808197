"""A gateway as a process of its own, over real mutual TLS."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc

from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.words.clock import SystemClock
from tests.builders.certificates import DAY, Ca

# Made by bailee init.
CALLER = "spiffe://localhost/caller/billing"
START_SECONDS = 30
# Nothing about it needs renewal.
LONG = timedelta(days=30)
SERVE = (sys.executable, "-m", "gateway.cli.main", "serve")


@dataclass
class Place:
    """A gateway's folder, and the authority that its callers are of."""

    folder: Path
    port: int
    ca: Ca

    @property
    def address(self):
        return f"localhost:{self.port}"

    def channel(self, *, ends: timedelta = DAY):
        """Opens a blocking channel; ``ends`` is when its certificate does, from now."""
        pair = self.ca.client(CALLER, ends=ends)
        credentials = grpc.ssl_channel_credentials(
            self.ca.pem, pair.key, pair.certificate
        )
        options = [("grpc.enable_http_proxy", 0)]
        return grpc.secure_channel(self.address, credentials, options)

    def log_lines(self):
        """Returns what the process logged so far."""
        text = (self.folder / "serve.log").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines() if line[:1] == "{"]

    def wait_for_line(self, message, **fields):
        """Waits until the process has logged this message with these fields."""
        wanted = {"message": message, **fields}
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            for line in self.log_lines():
                if wanted.items() <= line.items():
                    return line
            time.sleep(0.02)
        raise AssertionError(f"never logged: {wanted}")


def make_place(folder, **settings):
    """Makes a gateway whose certificates are the test's; keywords are settings."""
    port = free_port()
    create_gateway(folder, InitOptions(listen=f"127.0.0.1:{port}"), SystemClock().now())
    ca = Ca(ends=LONG)
    (folder / "ca" / "billing-ca.pem").write_bytes(ca.pem)
    ca.server(ends=LONG).write(folder / "tls", "server")
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    with (folder / "bailee.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")
    return Place(folder, port, ca)


@contextmanager
def served(place, command=SERVE, **options):
    """Runs the process until the end of the block; ``serve.log`` is its log."""
    with (place.folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, str(place.folder)], stdout=log, stderr=log, **options
        )
        try:
            wait_for_port(place.port, process)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


def wait_for_port(port, process):
    ends = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the gateway did not start"
        assert time.monotonic() < ends, "the gateway did not start in time"
        time.sleep(0.02)
