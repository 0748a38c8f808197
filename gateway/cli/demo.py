"""``bailee demo``: the main job from nothing, over real mutual TLS.

It makes a gateway in a folder, serves it as a process of its own, and calls it with the
Python client. The processor is the embedded simulator: no real money moves.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bailee import BaileeError, Card, Client, new_request_id
from bailee.v1 import money_pb2, payment_pb2
from rich.console import Console
from rich.markup import escape

from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.config import Settings
from gateway.words.clock import SystemClock

# Published by Stripe for testing; the simulator answers them as Stripe does.
_CARD_OK: Final = "4242424242424242"
_CARD_DECLINED: Final = "4000000000009995"
_START_SECONDS: Final = 20.0


class DemoFailed(Exception):
    """A step did not do what it says."""


class Demo:
    """The steps, in order. Each prints what it did and what came back."""

    def __init__(self, *, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._steps = 0

    def run(self) -> None:
        """Runs every step.

        Raises:
            DemoFailed: A step did not do what it says.
        """
        self._title("A gateway from nothing")
        options = InitOptions(listen=f"127.0.0.1:{free_port()}")
        created = create_gateway(self._folder, options, SystemClock().now())
        self._say(f"made {created.folder} with keys, database, certificates, bundle")
        with serving(self._folder):
            with Client.from_bundle(created.bundle) as client:
                self._wait_for_server(client)
                self._say(f"serving on {options.listen}; mutual TLS 1.3, one caller")
                token = self._tokenize(client)
                payment = self._charge(client, token)
                self._refund(client, payment)
                self._decline(client)
                self._retry(client, token)
                self._charge_once(client, token)
                self._deny(client, token)
            self._verify_log()
        self._console.print("\n[bold green]All of it held.[/]")

    def _tokenize(self, client: Client) -> str:
        self._title("A sealed card goes in, a token comes out")
        answer = client.tokenize_card(a_card(_CARD_OK), customer_reference="customer-1")
        token = answer.card_token
        self._say(f"token    {token.name}")
        self._say(f"shows    {token.brand} **** {token.last_four}, and nothing more")
        proof = client.verify_receipt(answer.receipt)
        self._say(
            f"receipt  entry {proof.index} of a log of {proof.checkpoint.size}, "
            "checked with the pinned public key"
        )
        return token.name

    def _charge(self, client: Client, token: str) -> str:
        self._title("Money moves by token")
        answer = client.create_payment(
            card_token=token,
            amount=1999,
            currency="USD",
            charge_once_key="invoice-1",
            merchant_reference="INV-1",
        )
        payment = answer.payment
        self._expect(payment.state == payment_pb2.Payment.STATE_CAPTURED, "captured")
        self._say(f"charged  {show_money(payment.captured)} as {payment.name}")
        return payment.name

    def _refund(self, client: Client, payment: str) -> None:
        answer = client.refund_payment(payment, amount=500, currency="USD")
        self._expect(answer.payment.refunded.minor_units == 500, "refunded 5.00")  # noqa: PLR2004
        self._say(
            f"refunded {show_money(answer.refund.amount)}; "
            f"{show_money(answer.payment.captured)} captured in all"
        )

    def _decline(self, client: Client) -> None:
        answer = client.create_payment(
            card=a_card(_CARD_DECLINED),
            customer_reference="customer-2",
            amount=4200,
            currency="USD",
        )
        payment = answer.payment
        self._expect(payment.state == payment_pb2.Payment.STATE_DECLINED, "declined")
        retry = payment_pb2.Decline.Retry.Name(payment.decline.retry)
        self._say(f"declined {payment.decline.reason}, {retry}: an answer, no error")

    def _retry(self, client: Client, token: str) -> None:
        self._title("The same request twice moves money once")
        request_id = new_request_id()
        before = self._charges_in_ledger()
        answers = [
            client.create_payment(
                card_token=token, amount=700, currency="USD", request_id=request_id
            )
            for _ in range(3)
        ]
        moved = self._charges_in_ledger() - before
        names = {answer.payment.name for answer in answers}
        self._expect(len(names) == 1 and moved == 1, "one charge for three calls")
        self._say(f"3 calls, 1 payment, {moved} charge in the bank's own ledger")

    def _charge_once(self, client: Client, token: str) -> None:
        self._title("A second invoice run cannot charge twice")
        error = self._refused(
            "ALREADY_CHARGED",
            lambda: client.create_payment(
                card_token=token,
                amount=1999,
                currency="USD",
                charge_once_key="invoice-1",
            ),
        )
        self._say(f"ALREADY_CHARGED: invoice-1 is paid by {error.metadata['payment']}")

    def _deny(self, client: Client, token: str) -> None:
        self._title("Card processing and nothing else")
        for purpose, why in (
            ("marketing", "no policy can allow it"),
            ("payment.recurring", "the cardholder did not grant it"),
        ):
            error = self._refused(
                "POLICY_DENIED",
                lambda purpose=purpose: client.create_payment(  # type: ignore[misc]
                    card_token=token,
                    amount=100,
                    currency="USD",
                    purpose=purpose,
                    charge_once_key=f"{purpose}-1",
                ),
            )
            self._say(f"{purpose}: denied ({error.metadata['rule']}): {why}")

    def _verify_log(self) -> None:
        self._title("The log, checked by somebody who has only the public key")
        self._bailee("audit", "verify", str(self._folder))
        export = self._folder / "export"
        self._bailee("audit", "export", str(self._folder), str(export))
        key = (export / "verifier-key.txt").read_text("utf-8").strip()
        self._bailee("audit", "verify", str(export), "--verifier-key", key)
        tampered = self._folder / "tampered"
        shutil.copytree(export, tampered)
        bundle = next(
            path for path in sorted((tampered / "tile/entries").rglob("*.p/*"))
        )
        content = bytearray(bundle.read_bytes())
        content[len(content) // 2] ^= 1
        bundle.write_bytes(content)
        self._say("one bit of a copy flipped:")
        self._bailee(
            "audit", "verify", str(tampered), "--verifier-key", key, refuses=True
        )

    # How the steps are run

    def _bailee(self, *arguments: str, refuses: bool = False) -> None:
        command = [sys.executable, "-m", "gateway.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        self._expect((done.returncode != 0) == refuses, f"bailee {arguments[1]}")
        for line in (done.stdout + done.stderr).strip().splitlines():
            self._say(line)

    def _wait_for_server(self, client: Client) -> None:
        ends_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                client.get_card_token("card_none")
            except BaileeError as error:
                if error.reason:
                    return
                if time.monotonic() > ends_at:
                    raise DemoFailed(
                        f"the gateway did not start; see {self._folder / 'serve.log'}"
                    ) from error
                time.sleep(0.1)

    def _charges_in_ledger(self) -> int:
        """Counts the payments in the simulated bank's own file."""
        file = Settings.read(self._folder).path("simulator_ledger")
        events = (json.loads(line) for line in file.read_text("utf-8").splitlines())
        return sum(1 for event in events if event.get("kind") == "payment")

    def _refused(self, reason: str, call: Callable[[], object]) -> BaileeError:
        try:
            call()
        except BaileeError as error:
            self._expect(error.reason == reason, f"refused with {reason}")
            return error
        raise DemoFailed(f"expected {reason}, but the call went through")

    def _expect(self, held: bool, what: str) -> None:  # noqa: FBT001 - reads as a check
        if not held:
            raise DemoFailed(f"did not hold: {what}")

    def _title(self, text: str) -> None:
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {escape(text)}[/]")

    def _say(self, text: str) -> None:
        self._console.print(f"   {escape(text)}", highlight=False, soft_wrap=True)


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``bailee serve`` and stops it at the end; its log is ``serve.log``."""
    with (folder / "serve.log").open("ab") as log:
        command = [sys.executable, "-m", "gateway.cli.main", "serve", str(folder)]
        process = subprocess.Popen(command, stderr=log, stdout=log)  # noqa: S603 - our own command
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def a_card(number: str) -> Card:
    """Returns a test card that expires in three years."""
    year = SystemClock().now().year + 3
    return Card(number=number, expiry_month=12, expiry_year=year, security_code="123")


def show_money(money: money_pb2.Money) -> str:
    """Returns the amount as a person writes it; two decimals suffice for the demo."""
    whole, part = divmod(money.minor_units, 100)
    return f"{whole}.{part:02d} {money.currency}"


def run_demo(*, keep: Path | None, console: Console, command: str) -> None:
    """Runs the demo in ``keep``, or in a folder that is removed afterwards.

    Raises:
        DemoFailed: A step did not do what it says, or ``keep`` exists.
    """
    if keep is not None:
        if keep.exists():
            raise DemoFailed(
                f"{keep} exists, and nothing is overwritten; serve it "
                f"({command} serve {keep}), or remove it and start again"
            )
        Demo(folder=keep, console=console).run()
        console.print(f"\nKept in {keep}.", highlight=False)
        console.print(f"   serve it: {command} serve {keep}", soft_wrap=True)
        console.print(f"   bundle:   {keep / 'bundles/billing'}", soft_wrap=True)
        return
    with tempfile.TemporaryDirectory(prefix="bailee-demo-") as scratch:
        Demo(folder=Path(scratch) / "gateway", console=console).run()
