"""What pymerkle makes of the same entries; run in an environment of its own.

Reads entries in base64, one a line, from standard input. Prints JSON: the root of
each size and, for each entry, the hashes that lead from it to the root.
"""

import base64
import json
import sys

from pymerkle import InmemoryTree


def main():
    tree = InmemoryTree(algorithm="sha256")
    for line in sys.stdin.read().split():
        tree.append_entry(base64.b64decode(line))
    size = tree.get_size()
    facts = {
        "roots": [tree.get_root(n).hex() for n in range(1, size + 1)],
        "paths": [
            tree.prove_inclusion(n).serialize()["path"] for n in range(1, size + 1)
        ],
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
