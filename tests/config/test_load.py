import subprocess
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from secretkit.config.load import find_and_load, user_file, with_timeout
from secretkit.config.origin import Origin, OriginKind
from secretkit.config.place import state_dir
from secretkit.config.trust import trust
from secretkit.errors import ConfigError

PASSWORD = "hunter2"

KEY = "sk-ant-api03-" + "Aa0-" * 23 + "QWxyzwAA"


class World:
    """A home, a project directory, and the environment that names the home."""

    def __init__(self, tmp_path: Path) -> None:
        self.cwd = tmp_path / "project"
        self.cwd.mkdir()
        self.environ = {"HOME": str(tmp_path / "home")}
        self.user = user_file(self.environ)

    def write(self, path: Path, ttl: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'[leases]\nttl = "{ttl}"\n')
        path.chmod(0o600)
        return path

    def load(self, explicit=None):
        return find_and_load(explicit, environ=self.environ, cwd=self.cwd)

    def ttl(self, explicit=None) -> float:
        return self.load(explicit).policy.ttl.total_seconds()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_without_a_file_everything_is_a_default(world):
    config = world.load()
    assert config.file is None
    assert not config.notices
    assert config.ledger_url == f"sqlite:///{state_dir(world.environ)}/ledger.db"
    assert str(config.origin("leases.ttl")) == "default"


def test_argument_then_environment_then_user(world):
    world.write(world.user, "1m")
    assert world.ttl() == 60
    world.write(world.cwd / "named.toml", "2m")
    world.environ["SECRETKIT_CONFIG"] = "named.toml"
    assert world.ttl() == 120
    world.write(world.cwd / "argument.toml", "3m")
    assert world.ttl(Path("argument.toml")) == 180
    assert world.ttl(world.cwd / "argument.toml") == 180


def test_a_tilde_is_the_given_home(world, tmp_path):
    world.write(tmp_path / "home/x.toml", "4m")
    assert world.ttl(Path("~/x.toml")) == 240


def test_a_named_file_that_is_not_there_is_an_error(world):
    world.write(world.user, "1m")
    with pytest.raises(ConfigError, match="no such file"):
        world.load(Path("absent.toml"))
    world.environ["SECRETKIT_CONFIG"] = "/absent.toml"
    with pytest.raises(ConfigError, match="/absent"):
        world.load()
    world.environ["SECRETKIT_CONFIG"] = ""
    with pytest.raises(ConfigError, match="empty"):
        world.load()


def test_a_project_file_is_inert_until_trusted_and_after_a_change(world):
    world.write(world.user, "1m")
    project = world.write(world.cwd / "secretkit.toml", "2m")
    assert world.ttl() == 60
    assert world.load().notices == (
        f"{project} is ignored: not trusted; read it, then run: secretkit config trust",
    )
    trust(project, state_dir=state_dir(world.environ))
    assert world.ttl() == 120
    assert not world.load().notices
    world.write(project, "3m")
    assert world.ttl() == 60
    assert "changed since" in world.load().notices[0]


def test_an_untrusted_project_file_is_not_even_opened(world):
    (world.cwd / "secretkit.toml").write_bytes(b"\xff not toml")
    world.cwd.chmod(0o777)
    assert world.load().file is None


def test_the_table_of_a_trusted_pyproject(world):
    project = world.cwd / "pyproject.toml"
    project.write_text('[project]\nname = "x"\n[tool.secretkit.leases]\nttl = "5m"\n')
    project.chmod(0o600)
    assert not world.load().notices
    assert world.load().file is None
    trust(project, state_dir=state_dir(world.environ))
    config = world.load()
    assert config.policy.ttl == timedelta(minutes=5)
    assert str(config.origin("leases.ttl")) == f"{project}:4 tool.secretkit.leases.ttl"


def test_the_environment_overrides_only_what_it_may(world):
    world.write(world.user, "1m")
    world.environ |= {
        "SECRETKIT_TIMEOUT": "3s",
        "SECRETKIT_LEDGER_URL": f"postgresql://u:{PASSWORD}@h/d",
        "SECRETKIT_TTL": "9m",
        "SECRETKIT_LEASES_TTL": "9m",
    }
    config = world.load()
    assert config.policy.fetch_timeout == timedelta(seconds=3)
    assert config.policy.ttl == timedelta(minutes=1)
    assert config.ledger_url == f"postgresql://u:{PASSWORD}@h/d"
    assert "hunter2" not in repr(config)
    assert str(config.origin("ledger.url")) == "environment SECRETKIT_LEDGER_URL"
    assert str(config.origin("leases.fetch_timeout")) == "environment SECRETKIT_TIMEOUT"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRETKIT_TIMEOUT", ""),
        ("SECRETKIT_TIMEOUT", "10"),
        ("SECRETKIT_TIMEOUT", "11m"),
        ("SECRETKIT_LEDGER_URL", ""),
    ],
)
def test_a_malformed_variable_is_an_error_that_names_it(world, name, value):
    world.environ[name] = value
    with pytest.raises(ConfigError, match=name) as caught:
        world.load()
    assert caught.value.hint


def test_a_tilde_in_the_ledger_s_url_is_the_home(world, tmp_path):
    world.user.parent.mkdir(parents=True)
    world.user.write_text('[ledger]\nurl = "sqlite:///~/deep/l.db"\n')
    assert world.load().ledger_url == f"sqlite:///{tmp_path}/home/deep/l.db"


@pytest.mark.parametrize("stated", ["", '[ledger]\nurl = "sqlite:///~/x%23.db"\n'])
def test_a_home_with_marks_of_a_url_in_its_name_is_the_ledger_s_place(tmp_path, stated):
    home = tmp_path / "h#1?2%3 4"
    home.mkdir()
    environ = {"HOME": str(home)}
    user_file(environ).parent.mkdir(parents=True)
    user_file(environ).write_text(stated)
    url = find_and_load(None, environ=environ, cwd=tmp_path).ledger_url
    place = home / "x#.db" if stated else state_dir(environ) / "ledger.db"
    assert unquote(url) == f"sqlite:///{place}"
    assert not {"#", "?"} & set(url)


def test_an_argument_changes_one_value_and_its_origin(world):
    origin = Origin(kind=OriginKind.ARGUMENT, place="--timeout")
    config = with_timeout(world.load(), timedelta(seconds=2), origin=origin)
    assert config.policy.fetch_timeout == timedelta(seconds=2)
    assert config.origin("leases.fetch_timeout") is origin


def test_no_frame_of_the_error_holds_what_the_file_said(world):
    world.user.parent.mkdir(parents=True)
    for text in (f'x = "{KEY}"', f'[credentials.c]\nkind = "{KEY}"', f"# {KEY}", f"{KEY} ="):
        world.user.write_text(text)
        with pytest.raises(ConfigError) as caught:
            world.load()
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        # The frame of this test holds the text itself, so it is left out.
        frames = [frame for frame in shown.stack if frame.filename != __file__]
        assert frames
        assert KEY not in repr([frame.locals for frame in frames]) + str(caught.value)
        assert caught.value.__context__ is None


def test_a_large_config_names_its_size(world):
    world.user.parent.mkdir(parents=True)
    world.user.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="larger"):
        world.load()


def test_reading_a_plain_config_loads_no_heavy_module(world):
    world.write(world.user, "1m")
    code = (
        "import sys; from pathlib import Path; from secretkit.config.load import find_and_load;"
        f"find_and_load(None, environ={world.environ!r}, cwd=Path('/'));"
        "heavy = {'click', 'rich', 'asyncio', 'importlib.metadata', 'importlib.resources',"
        " 'secretkit.scan', 'cryptography', 'sqlite3', 'hashlib', 'logging', 'platformdirs'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert answer.stdout == b"[]\n"
