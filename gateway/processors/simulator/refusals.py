"""How the simulated processor says no: a status and an error object, as Stripe does."""

from gateway.processors.simulator.records import Json


class Refusal(Exception):
    """A request that is answered with an error. Its text is the code alone."""

    def __init__(self, status: int, error: Json) -> None:
        super().__init__(error["code"])
        self.status = status
        self.error = error


def refused(status: int, code: str, parameter: str = "") -> Refusal:
    """Returns the refusal of a request that cannot be carried out."""
    error = {"type": "invalid_request_error", "code": code}
    if parameter:
        error["param"] = parameter
    return Refusal(status, error)


def declined(code: str, payment: Json | None = None) -> Refusal:
    """Returns the bank's no; the payment, if there is one, is part of the answer."""
    error: Json = {"type": "card_error", "code": code}
    if payment is not None:
        error["payment"] = payment
    return Refusal(402, error)
