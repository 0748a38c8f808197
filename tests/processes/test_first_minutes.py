"""What the README promises, run as a newcomer would: real processes, real TLS."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from gateway.cli.demo import Demo, serving
from gateway.cli.init import InitOptions, InitRefused, create_gateway, free_port
from gateway.words.clock import SystemClock

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]


def block(mark, page="README.md"):
    """Returns a page's code block after a mark."""
    found = re.search(
        rf"<!-- test: {re.escape(mark)} -->\n```\w*\n(.*?)```",
        (ROOT / page).read_text("utf-8"),
        re.S,
    )
    return found.group(1)


def bailee(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a served gateway in ./demo, as `make demo KEEP=1` leaves it."""
    folder = tmp_path_factory.mktemp("newcomer")
    options = InitOptions(listen=f"127.0.0.1:{free_port()}")
    create_gateway(folder / "demo", options, SystemClock().now())
    with serving(folder / "demo"):
        wait_for_port(int(options.listen.rpartition(":")[2]))
        yield folder


def wait_for_port(port):
    ends = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < ends, "the gateway did not start"
        time.sleep(0.05)


def commands(mark):
    """Returns a block's commands, as this machine runs them."""
    python = f"{sys.executable} -m gateway.cli.main"
    lines = block(mark).strip().splitlines()
    return [line.replace(".venv/bin/bailee", python) for line in lines]


def shell(command, folder):
    return subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=False
    )


class TestPages:
    @pytest.mark.parametrize(
        ("page", "name"),
        [("README.md", "first_charge.py"), ("docs/billing.md", "one_month.py")],
    )
    def test_programs_print_what_the_page_says(self, place, page, name):
        script = place / name
        script.write_text(block(name, page))

        done = shell(f"{sys.executable} {name}", place)

        expected = re.escape(block(f"output of {name}", page).strip())
        pattern = expected.replace("…", r"\d+")
        assert re.fullmatch(pattern, done.stdout.strip()), done.stderr

    def test_commands_check_the_log(self, place):
        for command in commands("commands"):
            done = shell(command, place)

            assert done.returncode == 0, done.stderr

    def test_commands_make_a_gateway_for_stripe(self, tmp_path):
        (tmp_path / "stripe.key").write_text("rk_test_of_nobody\n")
        init, serve = commands("your own gateway")
        assert shell(init, tmp_path).returncode == 0
        port = free_port()
        settings = tmp_path / "my-gateway/bailee.toml"
        settings.write_text(
            settings.read_text().replace("0.0.0.0:7443", f"127.0.0.1:{port}")
        )

        served = subprocess.Popen(
            serve.split(), cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(port)
        finally:
            served.terminate()

        assert served.wait(timeout=30) == 0

    def test_doctor_finds_no_problem(self, place):
        done = bailee("doctor", "demo", cwd=place)

        assert done.returncode == 0, done.stdout
        assert "FAIL" not in done.stdout


class TestInit:
    def test_never_overwrites(self, tmp_path):
        (tmp_path / "there").mkdir()

        with pytest.raises(InitRefused):
            create_gateway(tmp_path / "there", InitOptions(), SystemClock().now())

    def test_leaves_nothing_behind_when_refused(self, tmp_path):
        key = tmp_path / "key"
        key.write_text("not a key")

        with pytest.raises(InitRefused):
            create_gateway(
                tmp_path / "new",
                InitOptions(stripe_key_file=key),
                SystemClock().now(),
            )

        assert sorted(path.name for path in tmp_path.iterdir()) == ["key"]

    def test_works_with_a_passphrase(self, tmp_path):
        file = tmp_path / "passphrase"
        file.write_text("correct horse battery staple\n")

        create_gateway(
            tmp_path / "new",
            InitOptions(passphrase_file=file, listen=f"127.0.0.1:{free_port()}"),
            SystemClock().now(),
        )

        assert b"vault_id" not in (tmp_path / "new/keyring/keyring").read_bytes()
        assert bailee("doctor", str(tmp_path / "new")).returncode == 0
        file.write_text("wrong\n")
        done = bailee("doctor", str(tmp_path / "new"))
        assert "keyring does not open" in done.stdout

    def test_writes_secrets_for_their_owner_only(self, tmp_path):
        create_gateway(tmp_path / "new", InitOptions(), SystemClock().now())

        secret = [
            file
            for file in (tmp_path / "new").rglob("*")
            if file.is_file() and (b"PRIVATE KEY" in file.read_bytes())
        ]
        secret += [tmp_path / "new/keyring/keyring", tmp_path / "new/data/bailee.db"]
        assert len(secret) == 7
        assert all(file.stat().st_mode & 0o77 == 0 for file in secret)


class TestServe:
    def test_refuses_a_second_server_on_the_port(self, place, tmp_path):
        port = re.search(r":(\d+)", (place / "demo/bailee.toml").read_text()).group(1)
        options = InitOptions(listen=f"127.0.0.1:{port}")
        create_gateway(tmp_path / "second", options, SystemClock().now())

        done = bailee("serve", str(tmp_path / "second"))

        assert done.returncode == 1
        assert "another program does" in done.stderr

    def test_refuses_a_second_server_on_the_database(self, place):
        done = bailee("serve", "demo", cwd=place)

        assert done.returncode == 1
        assert "Traceback" not in done.stderr

    def test_says_what_to_do_without_a_gateway(self, tmp_path):
        done = bailee("serve", str(tmp_path / "nothing"))

        assert done.returncode == 1
        assert "bailee init" in done.stderr


class TestDemo:
    def test_holds(self, tmp_path):
        Demo(folder=tmp_path / "gateway", console=Console(quiet=True)).run()

    def test_help_is_worth_reading(self):
        done = bailee("--help")

        assert "bailee init DIR" in done.stdout
