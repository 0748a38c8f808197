"""Makes docs/roles.md.

Run ``python -m tests.architecture.roles_page > docs/roles.md``.
"""

from gateway.rpc.authorization import NAME_NO_MERCHANT, ROLES
from gateway.words.callers import Role

HEAD = """\
# Who may call what

Made from `gateway/rpc/authorization.py` by `python -m tests.architecture.roles_page`;
a test compares it, and another calls every RPC with every role. Do not edit.

A caller has roles, and acts for named merchants or for all. One of the marked roles is
enough; what is not marked is refused with `CALLER_NOT_PERMITTED` before the request is
read. A merchant that the caller does not act for is answered like one that does not
exist. RPCs with a star name no merchant and show only what the caller acts for.

| role | for |
|---|---|
| `tokenize` | stores, updates and erases cards |
| `pay` | charges, captures, cancels, verifies |
| `refund` | gives money back |
| `read` | looks at tokens and payments |
| `compliance` | accepts policies and processor accounts, deactivates merchants: alone |
| `auditor` | reads the log |
| `platform` | creates merchants and their processor accounts |
| `operator` | runs the gateway, on the operator listener alone |

"""


def page():
    """Returns the whole page."""
    head = " | ".join(f"`{role}`" for role in Role)
    lines = [f"| RPC | {head} |", f"|---|{'---|' * len(Role)}"]
    for rpc, roles in sorted(ROLES.items()):
        star = "\\*" if rpc in NAME_NO_MERCHANT else ""
        marks = " | ".join("x" if role in roles else "" for role in Role)
        lines.append(f"| `{rpc.removeprefix('/bailee.v1.')}`{star} | {marks} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
