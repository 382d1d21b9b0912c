"""Vault keeps the contract over a real OpenBao, with both versions of KV."""

from contextlib import AbstractContextManager
from typing import ClassVar

import pytest

from secretkit.core.ref import SecretRef
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.bao import Bao
from secretkit.testing.contract import WritableContract
from vaulted import bao, fresh, opened

__all__ = ["bao"]


class TestVersionTwo(WritableContract):
    """The engine is found by asking."""

    mount: ClassVar[str] = "kv"
    stated: ClassVar[dict[str, object]] = {}

    @pytest.fixture(autouse=True)
    def _place(self, bao: Bao) -> None:
        self.bao = bao
        self.folder = fresh("contract")
        self.provider = opened(bao, **self.stated)

    def make_provider(self) -> VaultProvider:
        return self.provider

    def put(self, name: str, value: str) -> None:
        path = f"{self.mount}/data/{self.folder}/{name}"
        self.bao.write(path, data={"value": value, "other": "one"})

    def ref(self, name: str) -> SecretRef:
        return SecretRef("vault", f"{self.mount}/{self.folder}/{name}", field="value")

    def malformed(self) -> tuple[SecretRef, ...]:
        known = f"{self.mount}/{self.folder}/name"
        return (
            SecretRef("vault", f"{self.mount}/../sys/seal"),
            SecretRef("vault", f"{self.mount}//name"),
            SecretRef("vault", f"/{known}"),
            SecretRef("vault", self.mount),
            SecretRef("vault", known, version="0"),
            SecretRef("vault", known, version="01"),
            SecretRef("vault", known, version="-1"),
            SecretRef("vault", known, version="\N{ARABIC-INDIC DIGIT ONE}"),
            SecretRef("vault", known, version="9" * 40),
        )

    def stalled(self, name: str) -> AbstractContextManager[object]:
        return self.bao.paused()


class TestVersionOne(TestVersionTwo):
    """The version is stated, so nothing is asked; there are no versions and no listing."""

    mount = "old"
    stated: ClassVar[dict[str, object]] = {"kv_version": "1"}
    keeps_versions = False

    def put(self, name: str, value: str) -> None:
        path = f"{self.mount}/{self.folder}/{name}"
        self.bao.write(path, value=value, other="one")
