"""History: every blob once, the same findings as a scan of whole blobs, named by first commit."""

from __future__ import annotations

import base64
import json
import random  # noqa: TID251 - seeded, so that a failure can be repeated
import subprocess
from pathlib import Path

import pytest

from scan.history import Repository, history, key, near, secrets_of, token, whole
from secretkit.errors import ScanError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rng():
    return random.Random(7)  # noqa: S311 - no secrets of anybody


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def text(rng, lines=200):
    return [f"line {number} {rng.random()}" for number in range(lines)]


def test_a_secret_that_was_removed_again_is_found_with_the_commit_that_brought_it(repository, rng):
    lines = text(rng)
    repository.commit(a__txt="\n".join(lines))
    leaked = repository.commit(a__txt="\n".join([*lines[:50], secret := token(rng), *lines[50:]]))
    for number in range(5):
        lines[-1] = str(number)
        repository.commit(a__txt="\n".join([*lines[:50], secret, *lines[50:]]))
    repository.commit(a__txt="\n".join(lines))
    repository.pack()
    (found,) = repository.scan().findings
    assert (found.rule, found.path, found.line, found.commit) == ("token", "a.txt", 51, leaked)
    assert secret not in repr(found)


def test_a_secret_is_reported_once_a_path(repository, rng):
    secret = token(rng)
    first = repository.commit(a__txt=secret)
    second = repository.commit(b__txt=f"x {secret}")
    for number in range(3):
        repository.commit(a__txt=f"{secret}\n{number}", b__txt=f"x {secret}\n{number}")
    found = [(one.path, one.commit) for one in repository.scan().findings]
    assert found == [("a.txt", first), ("b.txt", second)]


def test_a_pack_that_ends_with_a_delta_of_a_few_bytes_is_read_to_its_end(repository, rng):
    secret = token(rng)
    for number in range(3):  # the older blobs become deltas that only copy: fifteen bytes each
        lines = ["NAME_OF_IT = 1", secret, *(f"x = {one}" for one in range(number))]
        repository.commit(a__txt="\n".join(lines) + "\n")
    repository.pack()
    summary = repository.scan()
    assert summary.skipped == ()
    assert [one.path for one in summary.findings] == ["a.txt"]
    assert summary.blobs == 3


@pytest.mark.parametrize("packed", [False, True])
def test_an_unreachable_blob_is_scanned_and_flagged(repository, rng, packed):
    repository.commit(a__txt="x")
    secret = token(rng)
    oid = repository.git("hash-object", "-w", "--stdin", given=secret.encode()).decode().strip()
    if packed:
        repository.git("pack-objects", "-q", ".git/objects/pack/pack", given=f"{oid}\n".encode())
        repository.git("prune-packed")
    (found,) = repository.scan().findings
    assert (found.commit, found.path) == (None, f"(unreachable blob {oid[:12]})")


def test_a_secret_that_is_also_in_history_is_not_reported_for_an_unreachable_blob(repository, rng):
    secret = token(rng)
    repository.git("hash-object", "-w", "--stdin", given=f"old {secret}".encode())
    repository.commit(a__txt=secret)
    assert [one.path for one in repository.scan().findings] == ["a.txt"]


def test_a_key_whose_header_did_not_change_is_found(repository, rng):
    lines, real = text(rng), key(rng, lines=40).split("\n")
    fake = [*real[:20], "*** not a key ***", *real[21:]]
    repository.commit(a__txt="\n".join([*lines, *fake, *lines]))
    commit = repository.commit(a__txt="\n".join([*lines, *real, *lines]))
    repository.commit(a__txt="\n".join([*lines, *fake, *lines]))
    repository.pack()
    (found,) = repository.scan().findings
    assert (found.rule, found.commit) == ("body", commit)


def test_a_token_of_which_only_the_tail_changed_is_another_one(repository, rng):
    lines, secret = text(rng), token(rng)
    for number in range(10):
        lines[100] = f"{secret[:-1]}{number}"
        repository.commit(a__txt="\n".join(lines))
    repository.pack()
    summary = repository.scan()
    assert len(summary.findings) == 10
    assert secrets_of(summary) == whole(repository)


def test_a_token_that_a_deletion_completes_is_found(repository, rng):
    lines, secret = text(rng), token(rng)
    for broken in (f"{secret[:20]} {secret[20:]}", secret, f"x{secret}"):
        lines[100] = broken
        repository.commit(a__txt="\n".join(lines))
    repository.pack()
    assert secrets_of(repository.scan()) == whole(repository) != set()


@pytest.mark.parametrize("seed", range(8))
def test_windows_find_what_whole_blobs_hold(tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311 - as above
    repository = Repository(tmp_path)
    lines = text(rng, 300)
    plants = (token, near, lambda rng: key(rng, lines=rng.choice((5, 60))))
    for _ in range(40):
        for _ in range(rng.choice((1, 1, 2, 4))):
            edit(lines, rng, rng.choice(plants))
        repository.commit(a__txt="\n".join(lines), b__txt=" ".join(lines[:150]))
    repository.pack(depth=rng.choice((5, 50, 200)))
    deltas = repository.git("verify-pack", "-v", *packs(repository)).count(b"chain length")
    assert deltas >= 2
    summary = repository.scan()
    assert secrets_of(summary) == whole(repository) != set()
    assert summary.blobs == len(repository.blobs())
    assert summary.skipped == ()


def edit(lines, rng, plant):
    at, what = rng.randrange(len(lines)), rng.random()
    if what < 0.3:
        lines[at] = plant(rng)
    elif what < 0.5:
        lines.insert(at, plant(rng))
    elif what < 0.6:
        lines[at] += plant(rng)
    elif what < 0.8:
        line = lines[at]
        cut = rng.randrange(len(line) + 1)
        lines[at] = line[:cut] + rng.choice(("", "\n", "x", " ")) + line[cut + rng.randrange(2) :]
    elif what < 0.9:
        to = rng.randrange(len(lines))
        lines[to:to] = lines[at : at + 30]
        del lines[400:]
    else:
        del lines[at : at + rng.choice((1, 5))]
        lines.extend(text(rng, 5))


def packs(repository):
    return sorted(str(one) for one in (repository.folder / ".git/objects/pack").glob("*.idx"))


def history_of_ten(repository, rng, name="a__txt"):
    lines = text(rng)
    for number in range(10):
        lines[20 * number] = token(rng)
        repository.commit(**{name: "\n".join(lines)})


def test_packs_loose_objects_and_a_multi_pack_index_are_read_together(repository, rng):
    history_of_ten(repository, rng)
    repository.git("repack", "-q", "-d")
    history_of_ten(repository, rng, "b__txt")
    repository.git("repack", "-q", "-d")
    repository.git("multi-pack-index", "write")
    repository.commit(c__txt=token(rng))
    assert len(packs(repository)) == 2
    summary = repository.scan()
    assert len(secrets_of(summary)) == 21
    assert summary.blobs == len(repository.blobs())
    assert summary.commits == 21


def test_an_object_in_two_packs_is_scanned_once(repository, rng):
    history_of_ten(repository, rng)
    repository.git("repack", "-q", "-a")
    repository.pack()
    lines = repository.git("rev-list", "--objects", "--all").splitlines()
    some = b"\n".join(line for line in lines if line.endswith(b"a.txt"))[: 6 * 47 - 1]
    repository.git("pack-objects", "-q", ".git/objects/pack/pack", given=some + b"\n")
    summary = repository.scan()
    assert (len(packs(repository)), summary.blobs, len(summary.findings)) == (2, 10, 10)


def test_deltas_that_name_their_base_by_id_are_followed(repository, rng):
    history_of_ten(repository, rng)
    repository.git("-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f")
    summary = repository.scan()
    assert secrets_of(summary) == whole(repository)
    assert summary.blobs == 10


def test_offsets_of_64_bits_are_followed(repository, rng):
    history_of_ten(repository, rng)
    repository.pack()
    (index,) = packs(repository)
    pack = index.replace(".idx", ".pack")
    Path(index).unlink()
    repository.git("index-pack", "--index-version=2,0x40", pack)
    summary = repository.scan()
    assert secrets_of(summary) == whole(repository)
    assert len(summary.findings) == 10


def test_an_index_of_version_1_is_left_to_git(repository, rng):
    history_of_ten(repository, rng)
    repository.pack()
    (index,) = packs(repository)
    Path(index).unlink()
    repository.git("index-pack", "--index-version=1", index.replace(".idx", ".pack"))
    summary = repository.scan()
    assert (len(summary.findings), summary.blobs, summary.skipped) == (10, 10, ())


def test_a_repository_of_sha256_is_read(tmp_path, rng):
    repository = Repository(tmp_path, "--object-format=sha256")
    history_of_ten(repository, rng)
    repository.pack()
    repository.commit(b__txt=token(rng))
    summary = repository.scan()
    assert (len(summary.findings), summary.blobs, summary.skipped) == (11, 11, ())


def test_objects_of_another_repository_count_if_this_history_uses_them(repository, rng, tmp_path):
    history_of_ten(repository, rng)
    repository.git("hash-object", "-w", "--stdin", given=token(rng).encode())
    repository.git("clone", "-q", "--shared", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    clone.commit(c__txt=token(rng))
    summary = clone.scan()
    assert (len(summary.findings), summary.blobs, summary.skipped) == (11, 11, ())


def test_a_bare_repository_and_a_linked_worktree_are_scanned(repository, rng, tmp_path):
    history_of_ten(repository, rng)
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"))
    for folder in (tmp_path / "bare.git", tmp_path / "linked"):
        assert len(history(folder).scan().findings) == 10


def test_a_shallow_clone_is_scanned_as_far_as_it_goes(repository, rng, tmp_path):
    history_of_ten(repository, rng)
    url = f"file://{repository.folder}"
    repository.git("clone", "-q", "--depth=2", url, str(tmp_path / "shallow"))
    summary = history(tmp_path / "shallow").scan()
    assert (len(summary.findings), summary.commits) == (10, 2)


def test_what_a_partial_clone_never_fetched_is_reported(repository, rng, tmp_path):
    history_of_ten(repository, rng)
    repository.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{repository.folder}"
    repository.git("clone", "-q", "--filter=blob:none", url, str(tmp_path / "partial"))
    summary = history(tmp_path / "partial").scan()
    assert len(summary.findings) == 10  # the checkout has fetched the last version
    assert [one.reason for one in summary.skipped] == [
        "9 objects were never fetched: this clone is partial"
    ]


def test_a_range_brings_only_its_own(repository, rng):
    repository.commit(a__txt=token(rng))
    repository.git("switch", "-q", "-c", "topic")
    commit = repository.commit(b__txt=token(rng))
    summary = repository.scan("main..topic")
    assert [(one.path, one.commit) for one in summary.findings] == [("b.txt", commit)]
    assert (summary.blobs, summary.commits) == (1, 1)
    assert len(repository.scan("topic").findings) == 2


@pytest.mark.parametrize("wanted", ["nowhere", "--all", "--output=x", "main..nowhere"])
def test_a_range_that_is_none_is_refused(repository, wanted):
    repository.commit(a__txt="x")
    with pytest.raises(ScanError):
        repository.scan(wanted)
    assert sorted(one.name for one in repository.folder.iterdir()) == [".git", "a.txt"]


def test_a_directory_without_a_repository_is_refused(tmp_path):
    with pytest.raises(ScanError, match="no git repository"):
        history(tmp_path).scan()


def test_a_repository_without_a_commit_is_clean(repository):
    summary = repository.scan()
    assert (summary.findings, summary.skipped, summary.blobs) == ((), (), 0)


def test_a_tree_that_names_itself_a_million_times_is_walked_once(repository, rng):
    oid = repository.git("hash-object", "-w", "--stdin", given=token(rng).encode()).strip()
    tree = repository.git("mktree", given=b"100644 blob " + oid + b"\tx\n").strip()
    for _ in range(12):
        lines = (b"040000 tree " + tree + b"\t" + str(n).encode() for n in range(10))
        tree = repository.git("mktree", given=b"\n".join(lines) + b"\n").strip()
    commit = repository.git("commit-tree", "-m", "x", tree.decode()).strip()
    repository.git("update-ref", "refs/heads/main", commit.decode())
    (found,) = repository.scan().findings
    assert (found.path, found.commit) == ("0/" * 12 + "x", commit.decode())


def test_two_workers_find_what_one_finds(repository, rng):
    for name in ("a__txt", "b__txt", "c__txt"):
        history_of_ten(repository, rng, name)
    repository.pack()
    seen = []
    one = repository.scan()
    two = history(repository.folder, workers=2)
    two._progress = lambda done, total: seen.append((done, total))
    assert two.scan() == one
    assert seen[-1] == (30, 30)


def test_a_blob_larger_than_memory_is_meant_for_is_scanned_in_pieces(repository, rng):
    secret = token(rng)
    commit = repository.commit(a__txt=b"x\n" * (9 << 20) + secret.encode())
    repository.pack()
    (found,) = repository.scan().findings
    assert (found.line, found.commit) == ((9 << 20) + 1, commit)


def test_this_repository_has_the_same_findings_in_windows_and_whole():
    if not (ROOT / ".git").is_dir():
        pytest.skip("no repository")
    found = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"], cwd=ROOT, capture_output=True, check=True
    )
    assert history(ROOT).scan().commits >= int(found.stdout)


def test_a_summary_fits_json_and_holds_no_value(repository, rng):
    secret = token(rng)
    repository.commit(a__txt=f"x = {secret}")
    from secretkit.scan.summary import plain

    assert secret not in json.dumps(plain(repository.scan()))


def wrapped(rng):
    filler = "".join(f"{rng.random()}\n" for _ in range(8))
    coded = base64.b64encode(f"{filler}{token(rng)}\n{filler}".encode()).decode()
    return "\n".join(f"    {coded[at : at + 64]}" for at in range(0, len(coded), 64))


def manifest(rng):
    value = base64.b64encode(token(rng).encode()).decode()
    return f"  token{rng.randrange(1000)}: {value}"


def joined(rng):
    secret = token(rng)
    return f'    x = "{secret[:20]}" +\n        "{secret[20:]}"'


@pytest.mark.parametrize("plant", [wrapped, manifest, joined])
def test_what_is_encoded_is_found_where_a_change_touches_it(repository, rng, plant):
    lines = ["apiVersion: v1", "kind: Secret", "data:", *text(rng, 300)]
    for number in range(12):
        at = 20 + 20 * number
        lines[at] = plant(rng)
        repository.commit(a__txt="\n".join(lines))
        lines[at] = lines[at][:-8] + "QUJDREVG"
        repository.commit(a__txt="\n".join(lines))
        lines[at] = f"line {number}"
    repository.pack()
    expected = whole(repository)
    assert len(expected) >= 12
    assert secrets_of(repository.scan()) == expected
