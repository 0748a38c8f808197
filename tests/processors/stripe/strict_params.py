"""Stripe's own generated types as a strict judge of what was really sent.

The SDK ships TypedDicts that Stripe generates from its specification. They are open
(an enumeration also takes any text) and describe Python values. Here their enumerations
are closed, unknown keys forbidden, and the form that came over the wire is judged.
"""

import re
import sys
import types
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import stripe
from pydantic import ConfigDict, TypeAdapter, ValidationError

_PARAMS = Path(stripe.__file__).parent / "params"


def judge(name, form):
    """Returns what is wrong with a form, by the TypedDict of this name."""
    try:
        _adapter(name).validate_python(form)
    except ValidationError as error:
        return [
            f"{'.'.join(str(part) for part in each['loc'])}: {each['type']}"
            for each in error.errors(include_input=False, include_context=False)
        ]
    return []


@cache
def _adapter(name):
    words = re.findall(r"[A-Z][a-z]+", name)
    module = "_" + "_".join(word.lower() for word in words)
    source = (_PARAMS / f"{module}.py").read_text("utf-8")
    # Literal["a", "b"]|str takes any text, Literal["a", "b"] these two. An honest
    # text is Literal['']|str: the empty one orders Stripe to erase.
    source = re.sub(r"(Literal\[(?!''\])[^\]]*\])\s*\|\s*str\b", r"\1", source)
    source = re.sub(r"(Literal\[[^\]]*\]),\s*str,?\s*\]", r"\1]", source)
    # Request options (keys, versions) are headers; they never belong into a body.
    source = source.replace(
        "from stripe._request_options import RequestOptions",
        "from typing_extensions import TypedDict",
    )
    source = source.replace("(RequestOptions)", "(TypedDict)")
    source = source.replace(
        "from stripe._stripe_object import UntypedStripeObject\n", ""
    )
    source = source.replace("UntypedStripeObject[str]", "dict[str, str]")
    strict = types.ModuleType(f"strict{module}")
    sys.modules[strict.__name__] = strict
    exec(compile(source, f"{module}.py", "exec"), strict.__dict__)  # noqa: S102 - Stripe's own file, changed above
    for value in vars(strict).values():
        if isinstance(value, type) and hasattr(value, "__total__"):
            value.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(getattr(strict, name))


def read_form(text):
    """Returns a form body as nested dictionaries and lists: a[b][0]=c."""
    tree = {}
    for key, value in parse_qsl(
        text, keep_blank_values=True, strict_parsing=bool(text)
    ):
        parts = re.findall(r"[^\[\]]+", key)
        branch = tree
        for part in parts[:-1]:
            branch = branch.setdefault(part, {})
        branch[parts[-1]] = value
    return _lists(tree)


def _lists(tree):
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdigit() for key in tree):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}
