"""The file provider keeps the contract, over plain files and over a Kubernetes volume."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.providers.file import FileProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract


class TestFile(ProviderContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.place = tmp_path

    def make_provider(self) -> FileProvider:
        return FileProvider.open({}, provider_context(config_dir=str(self.place)))

    def put(self, name: str, value: str) -> None:
        fresh = self.place / f".{name}"
        fresh.write_bytes(value.encode())
        fresh.replace(self.place / name)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("file", str(self.place / name))

    def malformed(self) -> Sequence[SecretRef]:
        return (SecretRef("file", "~nobody/key"), SecretRef("file", "~"), SecretRef("file", "."))


class TestKubernetesVolume(TestFile):
    """As the kubelet writes it: name -> ..data/name, ..data -> a directory that is swapped."""

    def make_provider(self) -> FileProvider:
        return FileProvider.open({"root": str(self.place)}, provider_context())

    def put(self, name: str, value: str) -> None:
        data = self.place / "..data"
        old = data.resolve()
        count = len(list(self.place.glob("..20*")))
        fresh = self.place / f"..2026_{count}"
        fresh.mkdir()
        if data.exists():
            for one in old.iterdir():
                (fresh / one.name).write_bytes(one.read_bytes())
        (fresh / name).write_bytes(value.encode())
        swap = self.place / "..data_tmp"
        swap.symlink_to(fresh.name)
        swap.replace(data)
        if not (self.place / name).is_symlink():
            (self.place / name).symlink_to(f"..data/{name}")

    def ref(self, name: str) -> SecretRef:
        return SecretRef("file", name)
