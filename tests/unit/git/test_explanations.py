"""What git's errors mean, which names can be branches, and what a URL names."""

import subprocess
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox_ops.errors import (
    DeniedError,
    NextStep,
    NotFoundError,
    RefusedError,
    SandboxError,
    UsageError,
)
from sandbox_ops.git import explanations


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("Host key verification failed.\nfatal: Could not read", DeniedError),
        ("git@github.com: Permission denied (publickey).", DeniedError),
        ("ERROR: Repository not found.", DeniedError),
        ("fatal: could not read Username for 'https://x': terminal", DeniedError),
        ("fatal: Remote branch x not found in upstream origin", NotFoundError),
        ("fatal: couldn't find remote ref refs/heads/x", NotFoundError),
        ("fatal: repository '/x' does not exist", NotFoundError),
        ("error: unable to write file a: No space left on device", RefusedError),
        ("fatal: unable to access 'https://x/': Could not resolve", RefusedError),
        ("fatal: detected dubious ownership in repository", DeniedError),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", RefusedError),
        ("fatal: Fetched in submodule path 'a', but it did not contain", RefusedError),
        ("mkdir: cannot create: Permission denied", DeniedError),
    ],
)
def test_an_error_of_git_has_its_kind_and_a_next_step(
    complaint: str, kind: type[SandboxError]
) -> None:
    error = explanations.explain(complaint)
    assert type(error) is kind
    assert error.hint
    assert error.message == complaint


def test_a_git_server_out_of_reach_is_said_of_the_right_computer_with_the_way_around() -> (
    None
):
    complaint = "fatal: unable to access 'https://x/': Could not resolve host: x"
    step = NextStep("sync", {"via": "ssh"})
    there = explanations.explain(complaint, serverless=step)
    assert "cannot be reached from the machine" in there.hint
    assert there.next_steps == (step,)
    here = explanations.explain(complaint, where="this computer")
    assert "cannot be reached from this computer" in here.hint
    full = explanations.explain("No space left on device", serverless=step)
    assert full.next_steps == ()


def test_what_is_not_understood_is_quoted() -> None:
    assert explanations.explain("fatal: odd").message == "fatal: odd"
    assert "printed nothing" in explanations.explain("").message


def test_passwords_in_urls_are_not_repeated() -> None:
    output = "fatal: unable to access 'https://me:s3cret@host/x.git/': refused"
    assert "s3cret" not in explanations.explain(output).message
    assert explanations.has_password("https://me:s3cret@host/x")
    assert explanations.has_password("https://ghp_token@host/x")
    assert not explanations.has_password("ssh://git@host/x")
    assert not explanations.has_password("git@host:x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("git@github.com:me/x.git", "https://github.com/me/x"),
        ("ssh://git@github.com:22/me/x.git", "https://token@GitHub.com/me/x.git/"),
        ("file:///srv/x.git", "/srv/x"),
    ],
)
def test_one_repository_has_many_urls(one: str, other: str) -> None:
    assert explanations.same_repository(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("git@github.com:me/x", "git@github.com:you/x"),
        ("git@github.com:me/x", "git@gitlab.com:me/x"),
        ("/srv/x", "git@srv:x"),
    ],
)
def test_other_repositories_are_others(one: str, other: str) -> None:
    assert not explanations.same_repository(one, other)


PARTS = st.sampled_from([*"ab-./~^:?*[\\@{} \t\x7f", ".lock", "..", "é"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=6).map("".join))
@example("-x")
@example("")
@example("a.lock/b")
@example("refs/heads/a")
def test_a_branch_is_what_git_takes_for_one(name: str) -> None:
    by_git = subprocess.run(
        ["git", "check-ref-format", f"refs/heads/{name}"], check=False
    )
    allowed = by_git.returncode == 0 and not name.startswith("-") and name != "@"
    if allowed:
        assert explanations.check_branch(name) == name
    else:
        with pytest.raises(UsageError, match="is not a branch name"):
            explanations.check_branch(name)


@pytest.mark.parametrize(
    "text",
    ["repository '", "Remote branch ", "a", ".lock' ", "://x:", "x" * 39 + "\n"],
)
def test_the_time_for_gits_words_grows_with_their_length(text: str) -> None:
    def seconds(length: int) -> float:
        stderr = (text * length)[:length]
        begin = time.process_time()
        explanations.explain(stderr)
        return time.process_time() - begin

    small = max(min(seconds(40_000) for _ in range(3)), 0.002)
    assert min(seconds(160_000) for _ in range(3)) < 8 * small
