"""RFC 6962 section 2.1 written as the RFC writes it: slow and plain."""

import hashlib


def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = _split(leaves)
    both = root_of(leaves[:split]) + root_of(leaves[split:])
    return hashlib.sha256(b"\x01" + both).digest()


def path_of(index, leaves):
    """PATH(m, D[n]), section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = _split(leaves)
    if index < split:
        return [*path_of(index, leaves[:split]), root_of(leaves[split:])]
    return [*path_of(index - split, leaves[split:]), root_of(leaves[:split])]


def proof_of(old, leaves):
    """PROOF(m, D[n]), section 2.1.2."""
    return _subproof(old, leaves, whole=True)


def _subproof(old, leaves, *, whole):
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = _split(leaves)
    if old <= split:
        return [*_subproof(old, leaves[:split], whole=whole), root_of(leaves[split:])]
    return [
        *_subproof(old - split, leaves[split:], whole=False),
        root_of(leaves[:split]),
    ]


def _split(leaves):
    """The largest power of two smaller than the number of leaves."""
    return 1 << ((len(leaves) - 1).bit_length() - 1)
