"""A gateway process that kills itself at a boundary: run by the crash tests.

    python -m tests.crash.gateway_process DIR BOUNDARY NUMBER

It dies the NUMBER-th time it reaches BOUNDARY (kill -9: nothing is flushed or closed).
BOUNDARY "none" never dies by itself.
"""

import os
import signal
import sys
from pathlib import Path

from gateway import app, serve
from gateway.config import Settings


def dying_at(name, number):
    """Returns what to do at a boundary."""
    seen = 0

    def reached(boundary):
        nonlocal seen
        if boundary.name == name:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


def main():
    folder, name, number = sys.argv[1:]
    plain = app.Gateway

    class Dying(plain):
        def __init__(self, **parts):
            super().__init__(**parts, reached=dying_at(name, int(number)))

    app.Gateway = Dying if name != "none" else plain
    serve.run(Settings.read(Path(folder)))


if __name__ == "__main__":
    main()
