"""The registry: built-in names cannot be taken over, other names are found by entry point."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from secretkit.errors import ConfigError, ProviderUnavailableError
from secretkit.providers.registry import (
    BUILT_IN,
    GROUP,
    Claim,
    ProviderInfo,
    conflicts,
    factory,
    installed,
    installed_claims,
)

ROOT = Path(__file__).parents[2]


def claims(*each: tuple[str, str, str]):
    made = [Claim(name=n, target=t, distribution=d, version="1.0") for n, t, d in each]
    return lambda: made


NOBODY = claims()
MEMORY = "secretkit.testing.memory:MemoryProvider"


def test_the_table_is_what_pyproject_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert dict(BUILT_IN) == project["entry-points"][GROUP]


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"local"}))
def test_a_built_in_name_gives_its_class_without_a_look_at_the_entry_points(name: str) -> None:
    def unread():
        raise AssertionError("the entry points were read")

    found = factory(name, source=unread)
    assert BUILT_IN[name] == f"{found.__module__}:{found.__name__}"


def test_a_built_in_is_found_without_importlib_metadata_and_without_the_other_providers() -> None:
    program = (
        "import sys\n"
        "from secretkit.providers.registry import factory\n"
        "factory('env')\n"
        "bad = [m for m in ('importlib.metadata', 'keyring', 'dotenv', 'subprocess',"
        " 'secretkit.providers.command', 'secretkit.providers.file') if m in sys.modules]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_another_name_is_found_by_entry_point() -> None:
    found = factory("memory", source=claims(("memory", MEMORY, "some-dist")))
    assert found.__name__ == "MemoryProvider"


def test_a_claim_may_name_an_extra() -> None:
    found = factory("memory", source=claims(("memory", f"{MEMORY} [fast]", "some-dist")))
    assert found.__name__ == "MemoryProvider"


def test_only_the_named_provider_is_imported() -> None:
    source = claims(("broken", "no_such_module_at_all:X", "bad"), ("memory", MEMORY, "good"))
    assert factory("memory", source=source).__name__ == "MemoryProvider"


def test_a_claim_on_a_built_in_name_is_reported_and_never_used() -> None:
    source = claims(("env", "evil.module:Env", "evil-dist"))
    assert factory("env", source=source).__module__ == "secretkit.providers.env"
    (found,) = conflicts(source=source)
    assert (found.name, found.distributions, found.built_in) == ("env", ("evil-dist",), True)
    assert "evil.module:Env" not in {info.target for info in installed(source=source)}


def test_our_own_claims_are_no_conflict() -> None:
    ours = [(name, target, "secretkit") for name, target in BUILT_IN.items()]
    assert conflicts(source=claims(*ours)) == []


def test_another_distribution_with_our_target_is_a_conflict() -> None:
    assert conflicts(source=claims(("env", BUILT_IN["env"], "other")))[0].built_in


def test_a_name_claimed_twice_is_refused_with_both_names() -> None:
    source = claims(("consul", "one:A", "dist-one"), ("consul", "two:B", "dist-two"))
    with pytest.raises(ConfigError, match="dist-one and dist-two") as caught:
        factory("consul", source=source)
    assert "pip uninstall" in caught.value.hint
    assert conflicts(source=source)[0].distributions == ("dist-one", "dist-two")
    assert "consul" not in {info.name for info in installed(source=source)}


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        factory("dotnev", source=claims(("consul", "a:B", "d")))
    assert "did you mean dotenv?" in caught.value.hint
    assert "consul" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        factory("zzzzzz", source=NOBODY)
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize(
    "target",
    [
        "no_such_module_at_all:X",
        "secretkit.testing.memory:NoSuchClass",
        "secretkit.testing.memory",
        "secretkit.testing.memory:AWKWARD",
        "secretkit.ports:Claim.inner",
        "secretkit.errors:SecretkitError",
        ":",
        "",
        "...:X",
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_unavailable(target: str) -> None:
    with pytest.raises(ProviderUnavailableError, match="odd-dist") as caught:
        factory("odd", source=claims(("odd", target, "odd-dist")))
    assert "odd-dist" in caught.value.hint
    assert caught.value.__context__ is None


def test_damaged_metadata_is_unavailable_and_does_not_touch_built_ins() -> None:
    def damaged():
        raise TypeError("damaged")

    with pytest.raises(ProviderUnavailableError, match="TypeError"):
        factory("consul", source=damaged)
    assert factory("env", source=damaged)


def test_the_listing_is_sorted_and_says_what_is_built_in() -> None:
    listed = installed(source=claims(("azure", "a.b:C", "some-dist")))
    assert [one.name for one in listed] == sorted(["azure", *BUILT_IN])
    assert listed[2] == ProviderInfo(  # after the two of AWS
        name="azure", target="a.b:C", distribution="some-dist", version="1.0", built_in=False
    )
    assert all(one.built_in for one in listed if one.name != "azure")


def test_the_real_environment_has_no_conflicts() -> None:
    assert all(isinstance(claim, Claim) for claim in installed_claims())
    assert conflicts() == []


PLUGIN = """
from secretkit.core.secret import Secret
from secretkit.ports import Fetched

class Upside:
    @classmethod
    def open(cls, options, context):
        return cls()

    def fetch(self, ref, *, timeout):
        return Fetched(secret=Secret(ref.path[::-1]), version="1")
"""

USE = """
import sys
from datetime import timedelta
from secretkit.core.ref import SecretRef
from secretkit.providers import registry
from secretkit.testing.context import provider_context

listed = {info.name: info for info in registry.installed()}
assert listed["upside"].distribution == "secretkit-upside", listed["upside"]
assert listed["upside"].version == "3.1"
assert "upside_plugin" not in sys.modules and "upside_other" not in sys.modules
provider = registry.factory("upside").open({}, provider_context())
found = provider.fetch(SecretRef("upside", "abc"), timeout=timedelta(seconds=1))
assert found.secret.reveal() == "cba"
assert "upside_other" not in sys.modules
assert registry.factory("env").__module__ == "secretkit.providers.env"
(conflict,) = registry.conflicts()
assert conflict.name == "env" and conflict.distributions == ("secretkit-upside",), conflict
print("all good")
"""


def test_a_third_party_package_adds_a_provider(tmp_path: Path) -> None:
    info = tmp_path / "secretkit_upside-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: secretkit-upside\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(
        "[secretkit.providers]\n"
        "upside = upside_plugin:Upside\n"
        "other = upside_other:Other\n"
        "env = upside_plugin:Upside\n"
    )
    (tmp_path / "upside_plugin.py").write_text(PLUGIN)
    (tmp_path / "upside_other.py").write_text("raise SystemError('imported')\n")
    environ = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PATH": os.defpath}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "all good\n", "")
