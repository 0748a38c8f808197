"""One gRPC call by hand: what no gRPC library lets a test do.

gRPC clients always offer TLS 1.3 and never send a path that is not text. This one
speaks as much HTTP/2 as one unary call takes (RFC 9113), with headers that are neither
indexed nor compressed (RFC 7541 6.2.2).
"""

import socket
import ssl
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


def tls_context(ca, pair_files, *, highest=None):
    """A client's TLS with this certificate; ``highest`` bounds the version."""
    context = ssl.create_default_context(cadata=ca.pem.decode())
    context.load_cert_chain(*pair_files)
    context.set_alpn_protocols(["h2"])
    if highest is not None:
        context.maximum_version = highest
    return context


def call(port, context, path, message, *, extra=(), seconds=5):
    """Sends one message and returns (TLS version, everything the headers said)."""
    with (
        socket.create_connection(("localhost", port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        version = secured.version()
        body = b"\x00" + struct.pack(">I", len(message)) + message
        secured.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, b"")
            + _frame(_HEADERS, _END_HEADERS, 1, _headers(path, extra))
            + _frame(_DATA, _END_STREAM, 1, body)
        )
        return version, _read_headers(secured)


def _headers(path, extra):
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *extra,
    ]
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def _text(value):
    if len(value) > 126:
        raise ValueError("too long for one length byte")
    return bytes([len(value)]) + value


def _frame(kind, flags, stream, payload):
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def _read_headers(secured):
    """Returns the payloads of all HEADERS frames up to the end of the stream."""
    seen = b""
    source = secured.makefile("rb")
    while True:
        head = source.read(9)
        if len(head) < 9:
            return seen
        length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        payload = source.read(length)
        if kind == _SETTINGS and not flags & _ACK:
            secured.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        if kind == _HEADERS:
            seen += payload
        if kind in (_RESET, _GOAWAY) or (kind == _HEADERS and flags & _END_STREAM):
            return seen
