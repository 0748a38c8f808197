"""Names and sizes: what a reader may rely on."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CODE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "base", "manager"}
FORBIDDEN_ENDINGS = ("Manager", "Impl", "Handler", "Util", "Utils", "Helper")
# Longer than a function should be, and why.
LONG = {
    "clients/python/bailee/_async/payments.py: create_payment": "a line for each field",
    "clients/python/bailee/_sync/payments.py: create_payment": "a line for each field",
}
# Where an exception of any kind may end, and why.
CATCHES_EVERYTHING = {
    "gateway/rpc/guard.py": "the outermost boundary",
    "gateway/loops.py": "a loop that must outlive any fault",
    "gateway/storage/batcher.py": "a loop that must outlive any fault",
    "gateway/payments/settle_unknown_payments.py": "a loop that must outlive any fault",
}
MONEY = (
    "gateway/payments/",
    "gateway/words/money.py",
    "gateway/rpc/payment_messages.py",
)


def read_modules():
    """Returns the text of every module of the product, by its path in the tree."""
    folders = ROOT / "gateway", ROOT / "clients" / "python" / "bailee"
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if "v1" not in path.parts
    }


MODULES = read_modules()
TREES = {path: ast.parse(text) for path, text in MODULES.items()}


def nodes(*kinds):
    """Returns (path, node) of every node of these kinds."""
    return [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def matching(pattern):
    """Returns the paths of modules whose text matches."""
    return {path for path, text in MODULES.items() if re.search(pattern, text)}


def length(function):
    """Counts a function's lines without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    text = ast.get_docstring(function, clean=False)
    return lines - (text.count("\n") + 1 if text else 0)


class TestModules:
    def test_are_found(self):
        assert "gateway/rpc/guard.py" in MODULES
        assert "clients/python/bailee/client.py" in MODULES

    def test_are_short(self):
        def code_lines(text):
            lines = (line.strip() for line in text.splitlines())
            return sum(1 for line in lines if line and not line.startswith("#"))

        sizes = {path: code_lines(text) for path, text in MODULES.items()}
        assert {p: size for p, size in sizes.items() if size > CODE_LINES_MAX} == {}

    def test_are_named_after_what_they_hold(self):
        parts = {part for path in MODULES for part in Path(path).with_suffix("").parts}

        assert not parts & FORBIDDEN_NAMES

    def test_say_what_they_are_for(self):
        assert [
            path for path, tree in TREES.items() if not ast.get_docstring(tree)
        ] == []

    def test_have_no_assert(self):
        """Python drops it under -O."""
        assert [path for path, _ in nodes(ast.Assert)] == []


class TestFunctions:
    def test_are_short(self):
        long = {
            f"{path}: {node.name}"
            for path, node in nodes(*FUNCTIONS)
            if length(node) > FUNCTION_LINES_MAX
        }
        assert long <= set(LONG)


class TestClasses:
    def test_are_nouns(self):
        names = [(path, node.name) for path, node in nodes(ast.ClassDef)]

        assert [item for item in names if item[1].endswith(FORBIDDEN_ENDINGS)] == []


class TestMoney:
    def test_never_is_a_float(self):
        named = [
            f"{path}:{node.lineno}"
            for path, node in nodes(ast.Name)
            if path.startswith(MONEY) and node.id == "float"
        ]
        assert named == []
        assert any(path.startswith("gateway/payments/") for path in MODULES)


class TestPayments:
    def test_are_stored_with_the_event_of_their_change(self):
        """Leases and steps are no change that anybody sees."""
        pattern = r"payments\.(save|add|add_move|save_move)\("

        assert matching(pattern) == {
            "gateway/payments/keep_changes.py",
            "gateway/payments/processor_steps.py",
            "gateway/payments/settle_unknown_payments.py",
        }


class TestErrors:
    def test_only_the_guard_ends_a_call(self):
        """Servicers raise; a status set elsewhere could carry any text."""
        pattern = r"context\.(abort|abort_with_status|set_code|set_details)\("

        assert matching(pattern) == {"gateway/rpc/guard.py"}

    def test_end_in_few_places_only(self):
        """Ruff demands the mark wherever everything is caught and not raised again."""
        assert matching("noqa: BLE001") <= set(CATCHES_EVERYTHING)

    def test_are_never_silently_dropped(self):
        silent = [
            f"{path}:{node.lineno}"
            for path, node in nodes(ast.ExceptHandler)
            if node.type is None
            or all(isinstance(item, ast.Pass) for item in node.body)
        ]
        assert silent == []
