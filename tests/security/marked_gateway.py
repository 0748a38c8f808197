"""A gateway process for the leak test: takes a long marked security code.

    python -m tests.security.marked_gateway DIR clean|leaky BOUNDARY

Three digits cannot be searched for, so here a security code may be longer. In mode
"leaky", the control, it writes what it opened: the search must then find it. It dies
the first time it reaches BOUNDARY; "none" never.
"""

import sys
from pathlib import Path

from gateway import app, serve
from gateway.cards import brands, security_code
from gateway.config import Settings
from gateway.vault import sealed_input
from tests.crash.gateway_process import dying_at

LONG = tuple(range(3, 40))


class LeakyInput(sealed_input.SealedInput):
    """Writes the card that it opened, past the formatter that would hide digits."""

    def open_card(self, form, context, now):
        received = super().open_card(form, context, now)
        print("opened", received.details.number.reveal(), file=sys.stderr, flush=True)
        return received


def main():
    folder, mode, boundary = sys.argv[1:]
    security_code._LENGTHS = LONG
    brands.Brand.check_security_code = lambda self, code, field="": None
    if mode == "leaky":
        app.SealedInput = LeakyInput
    plain = app.Gateway
    dying = dying_at(boundary, 1)
    app.Gateway = lambda **parts: plain(**parts, reached=dying)
    serve.run(Settings.read(Path(folder)))


if __name__ == "__main__":
    main()
