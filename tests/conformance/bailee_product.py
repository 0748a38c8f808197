"""Bailee as a product among others: a served gateway, its client, its command."""

import shutil
import uuid
from contextlib import contextmanager

from bailee import BaileeError, Card, Client
from bailee.audit.cli import OK, main

from gateway.cli.audit import export_gateway_at
from gateway.cli.demo import serving
from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.config import Settings
from gateway.words.clock import SystemClock
from gateway.words.identifiers import new_name
from tests.conformance.suite import CUSTOMER, RECURRING, Refused
from tests.processes.test_first_minutes import wait_for_port


class Bailee:
    """See Adapter."""

    name = "Bailee"

    def __init__(self, folder, client, settings):
        self.answers = []
        self._folder = folder
        self._client = client
        self._settings = settings

    def store(self, number, purposes):
        card = Card(number=number, expiry_month=12, expiry_year=2031)
        answer = self._call(self._client.tokenize_card, card, purposes=purposes)
        return answer.card_token.name

    def use(self, token, purpose):
        self._charge(self._client, token, purpose)

    def use_as_another_tenant(self, token):
        self._charge(self._client.with_options(merchant="other"), token, RECURRING)

    def reveal(self, token):
        """No RPC returns a number; what describes a token comes closest."""
        self._call(self._client.get_card_token, token)

    def erase(self, token):
        self._call(self._client.delete_card_token, token)

    def record(self):
        files = sorted((self._export() / "tile" / "entries").rglob("*"))
        return b"".join(file.read_bytes() for file in files if file.is_file())

    def verify(self, *, tampered):
        export = self._export()
        if tampered:
            entries = export / "tile" / "entries"
            [*_, file] = [item for item in entries.rglob("*") if item.is_file()]
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        key = str(export / "verifier-key.txt")
        return main(["verify", str(export), "--key", key]) == OK

    def _export(self):
        target = self._folder / uuid.uuid4().hex
        export_gateway_at(self._settings, "shop", target)
        return target

    def _charge(self, client, token, purpose):
        key = "" if purpose == CUSTOMER else new_name("invoice")
        self._call(
            client.create_payment,
            card_token=token,
            amount=1999,
            currency="EUR",
            purpose=purpose,
            charge_once_key=key,
        )

    def _call(self, call, *arguments, **named):
        try:
            answer = call(*arguments, **named)
        except BaileeError as error:
            self.answers.append(repr(error).encode())
            raise Refused from error
        self.answers.append(answer.SerializeToString())
        return answer


@contextmanager
def bailee(folder):
    """Serves a gateway of its own."""
    home, port = folder / "bailee", free_port()
    options = InitOptions(listen=f"127.0.0.1:{port}")
    bundle = create_gateway(home, options, SystemClock().now()).bundle
    with serving(home):
        wait_for_port(port)
        with Client.from_bundle(bundle) as client:
            yield Bailee(folder, client, Settings.read(home))
    shutil.rmtree(home)
