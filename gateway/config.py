"""The settings of one gateway, from ``bailee.toml`` and ``BAILEE_…`` variables.

Invariants:
  * A path that is not absolute is taken from the folder of ``bailee.toml``.
  * No secret is a setting: secrets live in files that only the gateway's user can read.
  * An unknown setting is refused, so that a typing error cannot pass unnoticed.

docs/operations.md describes each setting.
"""

import os
import re
import tomllib
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

FILE_NAME: Final = "bailee.toml"
_PORT_MAX: Final = 65535
# Pydantic's sentence for a name that is not a setting speaks of "extra inputs".
_SAYS: Final = {"extra_forbidden": "no such setting"}


class ConfigInvalid(Exception):
    """A setting is missing or wrong; the text says which and what to do."""


def check_listen(text: str) -> str:
    """Returns the address to listen on, if it is one.

    Raises:
        ValueError: Not host and port; the text gives an example.
    """
    host, _, port = text.rpartition(":")
    known = re.fullmatch(r"\S+", host) and re.fullmatch(r"[0-9]{1,5}", port)
    if not known or int(port) > _PORT_MAX:
        raise ValueError("is not host:port, such as 127.0.0.1:7443")
    return text


class Settings(BaseSettings):
    """Every setting, with its safe default."""

    model_config = SettingsConfigDict(
        env_prefix="BAILEE_",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    folder: Path = Field(exclude=True)
    listen: str = "127.0.0.1:7443"
    metrics_listen: str = ""
    accept_plain_cards: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database: Path = Path("data/bailee.db")
    keyring: Path = Path("keyring")
    keyring_passphrase_file: Path | None = None
    tls_certificate: Path = Path("tls/server.pem")
    tls_key: Path = Path("tls/server-key.pem")
    billing_ca: Path = Path("ca/billing-ca.pem")
    billing_ca_key: Path = Path("ca/billing-ca-key.pem")
    operator_ca: Path = Path("ca/operator-ca.pem")
    operator_ca_key: Path = Path("ca/operator-ca-key.pem")
    operator_socket: Path = Path("operator.sock")
    operator_listen: str = Field("", pattern=r"^$|^[^\s]+:\d{1,5}$")
    anchor: Path = Path("anchor")
    anchor_seconds: float = Field(1.0, gt=0, le=60)
    stripe: bool = False
    simulator: bool = False
    simulator_url: str = ""
    simulator_ledger: Path = Path("data/simulator-ledger.jsonl")
    stripe_url: str = "https://api.stripe.com"
    processor_deadline_seconds: float = Field(20.0, gt=0, le=80)
    settle_interval_seconds: float = Field(5.0, gt=0, le=3600)
    events_poll_seconds: float = Field(0.5, gt=0, le=60)
    action_window_hours: float = Field(24.0, gt=0, le=24 * 7)
    epoch_rotation_days: int = Field(30, ge=0, le=366)
    key_upkeep_seconds: float = Field(5.0, gt=0, le=3600)
    stop_grace_seconds: float = Field(25.0, ge=0, le=600)
    callers_refresh_seconds: float = Field(2.0, gt=0, le=60)

    @field_validator("listen")
    @classmethod
    def _read_listen(cls, text: str) -> str:
        return check_listen(text)

    @field_validator("metrics_listen")
    @classmethod
    def _read_metrics_listen(cls, text: str) -> str:
        return check_listen(text) if text else text

    def path(self, name: str) -> Path:
        """Returns a path setting, made absolute."""
        value: Path = getattr(self, name)
        return self.folder / value

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads ``bailee.toml`` in the folder; variables win over the file.

        Raises:
            ConfigInvalid: Missing, not TOML, or a setting is unknown or wrong.
        """
        file = folder / FILE_NAME
        try:
            values: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigInvalid(
                f"{file} does not exist; make a gateway with: bailee init {folder}"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigInvalid(f"{file} is not TOML: {error}") from error
        except OSError as error:
            raise ConfigInvalid(f"{file} cannot be read: {error.strerror}") from error
        if "folder" in values:
            raise ConfigInvalid(f"{file}: folder: no such setting")
        variables = _read_variables(cls.model_fields)
        try:
            return cls(**values | variables, folder=folder.resolve())
        except ValidationError as error:
            problems = "; ".join(
                _describe(item, variables) for item in error.errors(include_input=False)
            )
            raise ConfigInvalid(f"{file}: {problems}") from error


def _read_variables(names: Iterable[str]) -> dict[str, Any]:
    """Returns the settings that variables give."""
    variables = {name: _variable(name) for name in names if name != "folder"}
    return {
        name: os.environ[variable]
        for name, variable in variables.items()
        if variable in os.environ
    }


def _variable(name: str) -> str:
    return f"BAILEE_{name.upper()}"


def _describe(problem: ErrorDetails, variables: Container[str]) -> str:
    """Returns where a wrong value stands and what is wrong with it, but not the value.

    A wrong variable is named as one: nobody finds it in the file.
    """
    name = ".".join(str(part) for part in problem["loc"])
    where = f"the variable {_variable(name)}" if name in variables else name
    says = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {_SAYS.get(problem['type'], says)}"
