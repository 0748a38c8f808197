"""What a typing error or a wrong folder ends in: one sentence that says what to do."""

import re

import pytest
from click import Option
from click.testing import CliRunner

from gateway.cli.init import InitOptions, create_gateway
from gateway.cli.main import main
from gateway.words.clock import SystemClock


def bailee(*arguments):
    """Runs the command; a traceback would be an exception that is not SystemExit."""
    done = CliRunner().invoke(main, [str(item) for item in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway that nobody serves; tests do not change it."""
    folder = tmp_path_factory.mktemp("made") / "gateway"
    create_gateway(folder, InitOptions(), SystemClock().now())
    return folder


@pytest.fixture
def new(tmp_path):
    """A gateway to damage."""
    folder = tmp_path / "gateway"
    create_gateway(folder, InitOptions(), SystemClock().now())
    return folder


@pytest.fixture(scope="module")
def export(gateway):
    target = gateway.parent / "export"
    assert bailee("audit", "export", gateway, target).exit_code == 0
    return target


class TestInit:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--listen", "7443"),
            ("--listen", "127.0.0.1:https"),
            ("--listen", "0.0.0.0:99999"),
            ("--host", ""),
            ("--host", "a b"),
            ("--host", "vault.example:7443"),
            ("--host", "*.example"),
            ("--host", "::1"),
            ("--host", "a" * 65),
            ("--merchant", "My Shop"),
            ("--merchant", ""),
            ("--caller", "bil ling"),
            ("--caller", "../billing"),
            ("--caller", ""),
        ],
    )
    def test_names_the_wrong_option_and_makes_nothing(self, tmp_path, option, value):
        done = bailee("init", tmp_path / "new", option, value)

        assert done.exit_code == 1
        assert option in done.output
        assert list(tmp_path.iterdir()) == []

    def test_accepts_an_ipv6_address_after_the_first_host(self, tmp_path):
        done = bailee("init", tmp_path / "new", "--host", "localhost", "--host", "::1")

        assert done.exit_code == 0, done.output

    def test_says_that_a_loopback_address_takes_no_calls_from_elsewhere(self, tmp_path):
        elsewhere = bailee("init", tmp_path / "a", "--host", "vault.example")
        here = bailee("init", tmp_path / "b")
        listens = ("--host", "vault.example", "--listen", "0.0.0.0:7443")
        open_to_all = bailee("init", tmp_path / "c", *listens)

        assert "only this machine reaches" in elsewhere.output
        assert "only this machine reaches" not in here.output + open_to_all.output

    @pytest.mark.parametrize(
        ("key", "says"),
        [
            ("", "no real money moves"),
            ("rk_test_abc", "test mode; no real money moves"),
            ("rk_live_abc", "real money moves"),
        ],
    )
    def test_says_where_charges_go(self, tmp_path, key, says):
        (tmp_path / "key").write_text(key)
        option = ("--stripe-key-file", tmp_path / "key") if key else ()

        done = bailee("init", tmp_path / "new", *option)

        line = re.search("charges go to: (.*)", done.output).group(1)
        assert says in line
        assert ("no real money" in line) == ("live" not in key)

    def test_refuses_a_publishable_key(self, tmp_path):
        (tmp_path / "key").write_text("pk_test_abc")

        done = bailee("init", tmp_path / "new", "--stripe-key-file", tmp_path / "key")

        assert "secret or restricted key" in done.output


class TestDemo:
    def test_says_what_to_do_with_the_folder_of_the_last_one(self, gateway):
        done = bailee("demo", "--keep", gateway)

        assert done.exit_code == 1
        assert f"serve {gateway}" in done.output


class TestSettings:
    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("lisen = 'x'", "lisen: no such setting"),
            ("folder = 'x'", "folder: no such setting"),
            ("listen = '7443'", "listen: is not host:port, such as 127.0.0.1:7443"),
            ("listen = 'x:65536'", "listen: is not host:port"),
            ("simulator =", "is not TOML"),
        ],
    )
    def test_names_the_wrong_setting(self, tmp_path, line, says):
        (tmp_path / "bailee.toml").write_text(line)

        for command in ("serve", "doctor"):
            assert says in bailee(command, tmp_path).output

    def test_names_the_wrong_variable(self, tmp_path, monkeypatch):
        """Whoever looks for it in the file would not find it."""
        (tmp_path / "bailee.toml").write_text("simulator = true")
        monkeypatch.setenv("BAILEE_LISTEN", "7443")

        assert "variable BAILEE_LISTEN: is not" in bailee("serve", tmp_path).output

    def test_says_when_the_file_is_a_folder(self, tmp_path):
        (tmp_path / "bailee.toml").mkdir()

        assert "cannot be read" in bailee("serve", tmp_path).output


class TestDoctor:
    def test_says_which_passphrase_file_is_missing(self, tmp_path):
        (tmp_path / "passphrase").write_text("correct horse battery staple")
        option = ("--passphrase-file", tmp_path / "passphrase")
        assert bailee("init", tmp_path / "new", *option).exit_code == 0
        (tmp_path / "passphrase").unlink()

        done = bailee("doctor", tmp_path / "new")

        assert f"{tmp_path / 'passphrase'}: No such file" in done.output

    @pytest.mark.parametrize(
        ("file", "says"),
        [
            ("tls/server.pem", "is not a PEM certificate"),
            ("data/bailee.db", "cannot be read"),
            ("keyring/keyring", "does not open: .* \\(keyring: "),
        ],
    )
    def test_finds_a_damaged_file(self, new, file, says):
        (new / file).write_bytes(b"damaged")

        done = bailee("doctor", new)

        assert done.exit_code == 1
        assert re.search(f"FAIL .*{says}", done.output)

    def test_finds_a_missing_server_key(self, new):
        (new / "tls/server-key.pem").unlink()

        assert "server-key.pem is missing" in bailee("doctor", new).output


class TestAuditVerify:
    def test_takes_the_key_from_a_bundle(self, gateway, export):
        done = bailee(
            "audit", "verify", export, "--bundle", gateway / "bundles/billing"
        )

        assert done.exit_code == 0
        assert "public key alone" in done.output

    def test_refuses_an_export_of_another_gateway(self, export, new):
        done = bailee("audit", "verify", export, "--bundle", new / "bundles/billing")

        assert done.exit_code == 1
        assert "NOT the log that was signed" in done.output

    def test_asks_for_the_key_of_an_export(self, export):
        done = bailee("audit", "verify", export)

        assert done.exit_code == 1
        assert "--bundle" in done.output

    def test_does_not_accuse_a_folder_that_is_no_export(self, gateway):
        done = bailee(
            "audit", "verify", gateway, "--bundle", gateway / "bundles/billing"
        )

        assert done.exit_code == 1
        assert "is no export" in done.output

    def test_refuses_a_file_and_a_folder_that_is_no_bundle(self, gateway, export):
        assert bailee("audit", "verify", gateway / "bailee.toml").exit_code == 2
        done = bailee("audit", "verify", export, "--bundle", gateway)
        assert "bundle.json" in done.output

    @pytest.mark.parametrize("merchant", ["nobody", "No Body"])
    def test_says_that_there_is_no_such_merchant(self, gateway, merchant):
        done = bailee("audit", "verify", gateway, "--merchant", merchant)

        assert f"no such merchant: {merchant}" in done.output


class TestAuditExport:
    def test_says_when_the_target_cannot_be_written(self, gateway):
        file = gateway / "bailee.toml"

        done = bailee("audit", "export", gateway, file / "below")

        assert done.exit_code == 1
        assert "cannot be written" in done.output


class TestHelp:
    @pytest.mark.parametrize("name", sorted(main.commands))
    def test_every_option_is_explained(self, name):
        command = main.commands[name]
        commands = getattr(command, "commands", {name: command}).values()

        for each in commands:
            options = [item for item in each.params if isinstance(item, Option)]
            assert [item.name for item in options if not item.help] == []
