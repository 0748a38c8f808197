"""The text of a receipt: a C2SP tlog-proof (https://c2sp.org/tlog-proof).

Clients verify it with code of their own: clients/python/bailee/receipts.py.
"""

import base64
from collections.abc import Sequence
from typing import Final

_HEADER: Final = "c2sp.org/tlog-proof@v1"


def format_proof(index: int, path: Sequence[bytes], note: str) -> str:
    """Returns index, inclusion path and signed checkpoint as one text."""
    hashes = "".join(f"{base64.b64encode(part).decode()}\n" for part in path)
    return f"{_HEADER}\nindex {index}\n{hashes}\n{note}"
