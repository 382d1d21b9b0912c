"""Identities from a file, a Kubernetes volume or a reference keep the contract."""

from contextlib import contextmanager

import pytest

from secretkit.identity import open_identity
from secretkit.providers.dotenv import DotenvProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import IdentityContract


class TestFile(IdentityContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path = tmp_path / "id.jwt"

    def make_identity(self, audience):
        table = {"type": "file", "path": str(self.path)}
        return open_identity(table, audience=audience, context=provider_context())

    def give(self, token):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{token}\n")
        fresh.rename(self.path)

    @contextmanager
    def gone(self):
        self.path.unlink()
        yield


class TestKubernetes(IdentityContract):
    """As the kubelet does it: a link to a folder that is swapped."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder, self.count = tmp_path, 0
        (tmp_path / "token").symlink_to("..data/token")

    def make_identity(self, audience):
        table = {"type": "kubernetes", "token_file": f"{self.folder}/token"}
        return open_identity(table, audience=audience, context=provider_context())

    def give(self, token):
        self.count += 1
        version = self.folder / f"..{self.count}"
        version.mkdir()
        (version / "token").write_text(token)
        (self.folder / "..data_tmp").symlink_to(version.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")

    @contextmanager
    def gone(self):
        (self.folder / "..data").unlink()
        yield


class TestSecret(IdentityContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path = tmp_path / ".env"
        self.provider = DotenvProvider.open({}, provider_context())

    def make_identity(self, audience):
        table = {"type": "secret", "source": f"dotenv:{self.path}#TOKEN"}
        context = provider_context(providers={"dotenv": self.provider})
        return open_identity(table, audience=audience, context=context)

    def give(self, token):
        self.path.write_text(f"TOKEN='{token}'\n")
        self.path.chmod(0o600)

    @contextmanager
    def gone(self):
        self.path.unlink()
        yield
