"""Judging our request bodies by Stripe's own generated types, made strict.

stripe ships TypedDicts that it generates from its OpenAPI specification. Here their
open enums are closed and unknown keys are refused, so that a typing error, a removed
parameter or a wrong value is found without asking Stripe.
"""

import re
import sys
import types
import urllib.parse
from functools import cache
from pathlib import Path

import stripe
from pydantic import ConfigDict, TypeAdapter

PARAMS = Path(stripe.__file__).parent / "params"
# Path of the API -> (module, class) of its body.
BODIES = {
    "/v1/customers": ("_customer_create_params", "CustomerCreateParams"),
    "/v1/payment_methods": (
        "_payment_method_create_params",
        "PaymentMethodCreateParams",
    ),
    "/v1/payment_intents": (
        "_payment_intent_create_params",
        "PaymentIntentCreateParams",
    ),
    "capture": ("_payment_intent_capture_params", "PaymentIntentCaptureParams"),
    "cancel": ("_payment_intent_cancel_params", "PaymentIntentCancelParams"),
    "/v1/refunds": ("_refund_create_params", "RefundCreateParams"),
}


@cache
def adapter(module, name):
    """Returns a strict validator of one of Stripe's TypedDicts."""
    source = (PARAMS / f"{module}.py").read_text("utf-8")
    # Literal[""] | str is a text that may be cleared, not an enum.
    enum = r"""(Literal\[(?!['"]{2}\])[^\]]*\])\s*\|\s*str\b"""
    source = re.sub(enum, r"\1", source)
    source = re.sub(r"class (\w+)\(RequestOptions\)", r"class \1(TypedDict)", source)
    source = source.replace("from stripe._request_options import RequestOptions\n", "")
    source = source.replace(
        "from stripe._stripe_object import UntypedStripeObject\n", ""
    )
    source = source.replace("UntypedStripeObject[str]", "dict[str, str]")
    source = source.replace("UntypedStripeObject[Any]", "dict")
    source = f"from typing_extensions import TypedDict\n{source}"
    made = types.ModuleType(f"strict_{module}")
    sys.modules[made.__name__] = made
    exec(compile(source, module, "exec"), made.__dict__)  # noqa: S102 - Stripe's types
    for value in list(vars(made).values()):
        if isinstance(value, type) and hasattr(value, "__total__"):
            value.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(getattr(made, name))


def judge(path, form):
    """Raises pydantic's ValidationError unless Stripe's types allow the body."""
    last = path.rsplit("/", 1)[-1]
    key = last if last in ("capture", "cancel") else path
    adapter(*BODIES[key]).validate_python(read_form(form))


def read_form(form):
    """Returns the nested values of ``a[b][0]=c``."""
    tree = {}
    for key, value in urllib.parse.parse_qsl(form, keep_blank_values=True):
        *outer, last = re.findall(r"[^\[\]]+", key)
        place = tree
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = value
    return _lists(tree)


def _lists(tree):
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdigit() for key in tree):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}
