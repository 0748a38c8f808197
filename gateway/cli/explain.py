"""An error as one sentence on the terminal."""

from gateway.errors import GatewayError


def explain(error: BaseException) -> str:
    """Returns the error's sentence and what it knows beside it."""
    if isinstance(error, GatewayError):
        details = "; ".join(f"{name}: {text}" for name, text in error.metadata.items())
        return f"{error} ({details})" if details else str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
