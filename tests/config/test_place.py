import json
import subprocess
import sys

import pytest

from secretkit.config.place import config_dir, home_dir, state_dir

ASK = (
    "import json, platformdirs as p;"
    "print(json.dumps([p.user_config_dir('secretkit'), p.user_state_dir('secretkit')]))"
)


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/h"},
        {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"},
        {"HOME": "/h", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": " "},
    ],
)
def test_the_directories_are_those_of_platformdirs(environ):
    answer = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, check=True, capture_output=True
    )
    assert [str(config_dir(environ)), str(state_dir(environ))] == json.loads(answer.stdout)


def test_a_relative_home_is_not_believed():
    assert home_dir({"HOME": "relative"}) == home_dir({})
    assert home_dir({}).is_absolute()
