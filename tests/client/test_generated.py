"""The client for threads is what the generator makes of the one on asyncio."""

from tests.client.generate import CLIENT, generate


class TestGenerated:
    def test_is_up_to_date(self, tmp_path):
        package = tmp_path / "bailee"
        package.mkdir()
        (package / "__init__.py").touch()

        generate(package)

        made = {file.name: file.read_text() for file in package.glob("_sync/*.py")}
        kept = {file.name: file.read_text() for file in CLIENT.glob("_sync/*.py")}
        assert kept == made
