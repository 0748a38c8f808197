"""Checking a gateway's audit log without trusting whoever runs the gateway.

``bailee-audit verify`` checks a log once; ``bailee-audit watch`` keeps what it saw, so
that it notices what a single look cannot. Nothing here shares code with the gateway.
"""
