"""Tripwires for the rules of CONTRIBUTING.md that no linter of ours knows.

Each list of exceptions here is short, names its reason, and is checked for being needed: an entry
that no longer applies fails too.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "secretkit"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

LONGEST = 300
LONGER = {
    "ports.py": "every Protocol and the records they pass, in one page; it holds no behaviour",
}

# A name that ends with "/" stands for a whole room.
REVEALS = {
    "claude/auth.py": "writes the request's header: the wire",
    "claude/exchange.py": "measures an assertion before it is sent",
    "claude/admin.py": "writes the header of a request to the Admin API",
    "claude/grant.py": "reads what an assertion says, and writes it into the request for a token",
    "claude/platform_cloud.py": "writes a bearer token into the request's header: the wire",
    "claude/profile.py": "writes a token into the file, 0600, from which Claude's SDKs read it",
    "claude/signing.py": "writes a Bedrock API key into the request's header: the wire",
    "claude/tokens.py": "hands a token to the SDK, which writes the header",
    "cli/handout.py": "hands one value to the program that asked for it on standard output",
    "cli/handover.py": "writes a file of its own, 0600, for the command that run starts",
    "cli/output.py": "prints one value, because get was asked to",
    "cli/rehearsal.py": "the demo tells its stand-in server which keys to accept",
    "cli/run.py": "puts it into the child's environment, and says when it is too short to mask",
    "core/credential.py": "checks the shape of a key before it can reach a header",
    "core/secret.py": "compares two secrets in constant time",
    "core/sigv4.py": "derives AWS's signing key, and writes the session token's header",
    "gateway/container.py": "makes the digest that a client's token is compared with",
    "identity/claims.py": "reads what a token says of itself before it is sent",
    "identity/keyset.py": "signs with the issuer's key, and writes its keys for the store",
    "identity/listener.py": "hands a token to the workload that may have it",
    "identity/svid.py": "writes a file of its own, 0600, for programs that read keys from files",
    "ledger/__init__.py": "a ledger's URL may hold a password, and its scheme picks the ledger",
    "ledger/keys.py": "makes the keyed digest that stands for the value everywhere else",
    "ledger/postgres.py": "hands the URL to the database driver",
    "providers/aws/document.py": "reads the JSON that holds a key pair or a session",
    "providers/aws/service.py": "writes the form that STS is sent, and signs it",
    "providers/contents.py": "takes one field out of a JSON document",
    "providers/dotenv.py": "takes one variable out of a .env file",
    "providers/keyring.py": "hands the value to the operating system's keyring",
    "providers/keysource.py": "derives the local store's key from a passphrase or the keyring",
    "providers/ownership.py": "writes a key file that only its owner can read",
    "providers/vault/": "writes it into a request of Vault, or changes one field of a document",
    "providers/sealing.py": "encrypts the value, and reveals the keys it does so with",
    "redact/watched.py": "must know the spellings of a live value to take them out of logs",
    "wire/transport.py": "checks that a header can carry it, and writes it to the socket",
    "testing/": "stand-ins compare and hand out the values a test gave them",
}

DANGEROUS = {
    "testing/contract.py": "pickles what a provider gives, to prove that no value is in it",
    "testing/contract_identity.py": "pickles an assertion, to prove that no value is in it",
    "testing/guard.py": "pickles an error, to prove that no value is in it",
    "testing/trace.py": "pickles an error, to prove that no value is in it",
}

FOREIGN = {
    "providers/keyring_backend.py": "the operating system's own keyring, from a table in that file",
    "wiring/source.py": "the module of a kind of credential, from a table in that file",
    "providers/registry.py": "what an entry point names: a plug-in that the user installed",
}

IMPURE = "core, errors and ports are pure: facts in, verdict out. Take the fact as a parameter"
PURE_IMPORTS = {
    "__future__",
    "collections.abc",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",  # core/sigv4: arithmetic on bytes that are given
    "hmac",
    "itertools",
    "re",
    "secretkit.core",
    "secretkit.errors",
    "types",
    "typing",
    "urllib.parse",  # core/sigv4: takes a URL apart, opens none
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports absolute"
            found.add(node.module or "")
    return found


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def attributes(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}


def called(call: ast.Call) -> str:
    """The dotted name of what is called, as it is written."""
    return ast.unparse(call.func)


def test_there_is_something_to_look_at():
    assert len(MODULES) > 20
    assert len(TESTS) > 5


def test_no_module_is_longer_than_three_hundred_lines():
    long = {name(path) for path in MODULES if len(path.read_text().splitlines()) > LONGEST}
    assert long - LONGER.keys() == set(), (
        f"split these into two things with names of their own; a reader holds {LONGEST} lines in "
        "mind. If it truly is one thing, add it to LONGER here with the reason"
    )
    assert LONGER.keys() - long == set(), "no longer needed: remove it from LONGER"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is(path):
    text = ast.get_docstring(tree(path)) or ""
    assert len(text) > 10, "start the module with one sentence that says what it gives"
    assert text.splitlines()[0][-1] in ".:", "the first line of the docstring is a sentence"


def test_no_module_has_a_name_that_says_nothing():
    banned = {"util", "utils", "helper", "helpers", "common", "base", "manager", "handler", "misc"}
    parts = {
        part: name(path)
        for path in MODULES
        for part in path.relative_to(PACKAGE).with_suffix("").parts
    }
    bad = {where for part, where in parts.items() if banned & set(part.split("_"))}
    assert not bad, "name it after what it gives; the words are in docs/glossary.md"


def test_a_value_is_revealed_only_where_the_list_says_so():
    sites = {name(path) for path in MODULES if "reveal" in attributes(path)}
    used = {site: key for site in sites for key in REVEALS if site == key or _in_room(site, key)}
    assert sites - used.keys() == set(), (
        "reveal() is called in a module that is not on the list. Call it in the last expression "
        "before the wire, bind it to no name, and add a line to REVEALS in tests/test_layout.py: "
        '"room/module.py": "why the value itself is needed there"'
    )
    stale = REVEALS.keys() - set(used.values())
    assert not stale, "nothing is revealed there any more: remove it from REVEALS"


def _in_room(site: str, key: str) -> bool:
    return key.endswith("/") and site.startswith(key)


def test_reveal_is_reached_by_its_name_only():
    """So that one grep finds every use."""
    for path in MODULES:
        strings = {n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant)}
        assert "reveal" not in strings, f"{name(path)} names reveal in a string"
        inside = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute)]
        owners = {ast.unparse(node.value) for node in inside if node.attr == "_sealed"}
        assert owners <= {"self"}, f"{name(path)} reaches into a Secret"
        assert "_sealed" not in strings or name(path) in {"core/secret.py", "providers/sealing.py"}


def _dangers(path: Path) -> list[str]:
    """Scorecard L08: what may not stand in our code."""
    modules = {"pickle", "marshal", "shelve", "dill", "yaml", "telnetlib", "ftplib"}
    names = {"eval", "exec", "tempfile.mktemp", "os.system", "os.popen", "mktemp"}
    found = [f"import {one}" for one in imports(path) if one.split(".")[0] in modules]
    for call in calls(path):
        if called(call) in names:
            found.append(f"{called(call)}() in line {call.lineno}")
        for word in call.keywords:
            if isinstance(word.value, ast.Constant):
                if word.arg == "shell" and word.value.value:
                    found.append(f"shell=True in line {call.lineno}")
                if word.arg == "verify" and word.value.value is False:
                    found.append(f"verify=False in line {call.lineno}")
    return found


def test_no_module_uses_what_turns_data_into_code_or_drops_a_check():
    found = {name(path): dangers for path in MODULES if (dangers := _dangers(path))}
    assert {where: what for where, what in found.items() if where not in DANGEROUS} == {}
    assert DANGEROUS.keys() - found.keys() == set(), "no longer needed: remove it from DANGEROUS"


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "import yaml",
        "eval('1')",
        "import subprocess; subprocess.run('x', shell=True)",
        "get(url, verify=False)",
        "import tempfile; tempfile.mktemp()",
        "import os; os.system('x')",
    ],
)
def test_the_search_for_dangers_finds_each_kind(line, tmp_path):
    path = tmp_path / "one.py"
    path.write_text(line)
    assert _dangers(path)


def test_tests_do_not_replace_our_own_code():
    for path in TESTS:
        assert not {one for one in imports(path) if one.startswith("unittest.mock")}, path
        for call in calls(path):
            assert called(call) not in {"monkeypatch.setattr", "mocker.patch", "mock.patch"}, (
                f"{path}:{call.lineno}: use the real thing, or a fake from secretkit.testing"
            )


PURE = [path for path in MODULES if name(path).startswith(("core/", "errors.py", "ports.py"))]


@pytest.mark.parametrize("path", PURE, ids=name)
def test_core_errors_and_ports_import_nothing_that_acts(path):
    rooms = {"secretkit.core": "secretkit.core", "secretkit.errors": "secretkit.errors"}
    for one in imports(path):
        room = next((room for start, room in rooms.items() if one.startswith(start)), one)
        assert room in PURE_IMPORTS, f"{name(path)} imports {one}. {IMPURE}"


@pytest.mark.parametrize("path", PURE, ids=name)
def test_core_errors_and_ports_read_no_clock_and_no_file(path):
    banned = {
        "open",
        "print",
        "input",
        "__import__",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
    }
    assert not {called(call) for call in calls(path)} & banned, IMPURE


def _imported_by_name(path: Path) -> list[str]:
    """What is imported through a call: as much of the module's name as stands there, or "?"."""
    found = []
    for call in calls(path):
        if called(call).split(".")[-1] in {"import_module", "__import__"}:
            target = call.args[0]
            start = target.values[0] if isinstance(target, ast.JoinedStr) else target
            found.append(str(start.value) if isinstance(start, ast.Constant) else "?")
    return found


def test_only_from_config_reaches_up_and_only_by_name():
    """docs/decisions/0003: outside the lazy package roots one module imports a room above it."""
    foreign, upward = set(), {}
    for path in MODULES:
        if path.name == "__init__.py":
            continue
        room = "secretkit." + name(path).split("/")[0]
        for target in _imported_by_name(path):
            if target == "?":
                foreign.add(name(path))
            elif not target.startswith(f"{room}."):
                upward.setdefault(name(path), set()).add(target)
    assert upward == {"broker/blocking.py": {"secretkit.wiring"}}
    assert foreign == FOREIGN.keys(), "say in FOREIGN what is imported by a name worked out here"


def test_a_lazy_package_root_imports_only_from_its_own_room_by_name():
    for path in MODULES:
        if path.name != "__init__.py":
            continue
        for call in calls(path):
            if called(call) == "import_module":
                wanted = ast.unparse(call.args[0])
                assert wanted.startswith("f'{__name__}."), f"{name(path)}: {wanted}"


HEAVY = """
anthropic asyncio boto3 botocore click cryptography dataclasses email hashlib hmac httpx2
importlib.metadata inspect json keyring logging pathlib platformdirs psycopg rich socket sqlite3 ssl
subprocess threading tomllib traceback
"""

WATCH = """
import json, os, sys

class Watched(dict):
    def __getitem__(self, key):
        read.append(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        read.append(key)
        return super().get(key, default)

read, opened, acted = [], [], []
os.environ = Watched(os.environ)
before = set(sys.modules)

def hook(event, args):
    if event == "open":
        opened.append(str(args[0]))
    elif event.split(".")[0] in {"socket", "subprocess", "ctypes", "urllib", "ssl", "sqlite3"}:
        acted.append(event)
    elif event in {"os.system", "os.exec", "os.fork", "os.listdir", "os.scandir", "os.posix_spawn"}:
        acted.append(f"{event} {args[:1]}")

sys.addaudithook(hook)
import secretkit
print(json.dumps({
    "loaded": sorted(set(sys.modules) - before),
    "files": {n: getattr(sys.modules[n], "__file__", None) for n in set(sys.modules) - before},
    "opened": opened, "acted": acted, "read": read, "public": list(secretkit.__all__),
}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, object]:
    """What ``import secretkit`` did in a fresh process (scorecard L06)."""
    command = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WATCH}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_opens_no_socket_starts_no_process_and_lists_no_directory(imported):
    allowed = [act for act in imported["acted"] if act.startswith("os.listdir")]
    assert imported["acted"] == allowed  # the import system lists the folders on sys.path
    stray = [act for act in allowed if not _is_code_folder(act)]
    assert not stray


def _is_code_folder(act: str) -> bool:
    folder = act.split("'")[1] if "'" in act else ""
    return any(folder.startswith(start) for start in (str(ROOT), sys.prefix, sys.base_prefix))


def test_import_reads_no_file_but_code_of_the_package_and_the_standard_library(imported):
    library = Path(ast.__file__).parent
    for one in imported["opened"]:
        path = Path(one)
        assert path.suffix in {".py", ".pyc", ".so"}, one
        assert path.is_relative_to(PACKAGE) or path.is_relative_to(library), one
        assert "site-packages" not in path.parts, one


def test_import_reads_no_environment_variable(imported):
    assert imported["read"] == []


def test_import_loads_no_third_party_module_and_little_of_the_standard_library(imported):
    loaded = set(imported["loaded"])
    heavy = set(HEAVY.split())
    assert not loaded & heavy
    outside = [one for one in imported["files"].values() if one and "site-packages" in one]
    assert not outside
    ours = {one for one in loaded if one.split(".")[0] == "secretkit"}
    assert ours == {"secretkit"}, "its names are imported on first use"
    assert len(loaded) < 60


def test_the_package_has_at_most_twenty_public_names(imported):
    public = [one for one in imported["public"] if not one.startswith("__")]
    assert len(public) <= 20
    assert sorted(public) == sorted(set(public))


PAPERS = [ROOT / "SECURITY.md", ROOT / "docs" / "threat-model.md"]
PROMISES = [
    (paper.name, test)
    for paper in PAPERS
    for test in re.findall(r"`(tests/[^`]+\.py(?:::\w+)?)`", paper.read_text("utf-8"))
]


@pytest.mark.parametrize(("paper", "test"), PROMISES)
def test_every_promise_links_to_a_test_that_exists(paper, test):
    path, _, function = test.partition("::")
    assert (ROOT / path).is_file(), f"{paper} promises what {path} tests, and there is no such file"
    defined = {node.name for node in tree(ROOT / path).body if isinstance(node, ast.FunctionDef)}
    assert not function or function in defined, f"{paper}: {path} has no test {function}"


def test_every_row_of_a_table_of_promises_names_a_test():
    rows = 0
    for paper in PAPERS:
        inside = False
        for line in paper.read_text("utf-8").splitlines():
            inside = line.startswith("| promise |") or (inside and line.startswith("|"))
            if inside and not line.startswith(("| promise |", "|---")):
                rows += 1
                assert "`tests/" in line, f"{paper.name}: {line}"
    assert rows > 20


def test_the_papers_a_repository_needs_are_there():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "## Supported versions" in (ROOT / "SECURITY.md").read_text()
    assert "## Out of scope" in (ROOT / "SECURITY.md").read_text()
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    assert "make lint" in (ROOT / "CONTRIBUTING.md").read_text()
