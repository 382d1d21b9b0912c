import subprocess
import sys

import pytest

import secretkit.testing


@pytest.mark.parametrize("name", secretkit.testing.__all__)
def test_every_public_name_is_there(name):
    assert getattr(secretkit.testing, name).__name__ == name
    assert name in dir(secretkit.testing)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = secretkit.testing.Nothing


def test_importing_the_room_imports_none_of_its_parts():
    code = (
        "import sys, secretkit.testing; "
        "print([m for m in sys.modules if m.startswith('secretkit.testing.')], "
        "'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
