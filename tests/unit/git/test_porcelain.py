"""What git and our scripts print, as values."""

import contextlib
import subprocess
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox_ops.errors import (
    ConnectionLostError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    SandboxError,
    TimedOutError,
    UsageError,
)
from sandbox_ops.git import explanations, porcelain
from sandbox_ops.machine import repo
from sandbox_ops.models import CommandResult, EndKind, Job, JobState, Output
from sandbox_ops.remote import script_replies

OID = "1" * 40
STATUS = f"""# branch.oid {OID}
# branch.head main
# branch.upstream origin/main
# branch.ab +0 -0
1 .M N... 100644 100644 100644 {OID} {OID} src/a file.py
1 A. N... 000000 100644 100644 {OID} {OID} "tab\\there"
2 R. N... 100644 100644 100644 {OID} {OID} R100 new name\told name
u UU N... 100644 100644 100644 100644 {OID} {OID} {OID} both.txt
? "\\303\\251t\\303\\251/"
? plain
! ignored
"""


def ended(
    stdout: str = "",
    stderr: str = "",
    exit_code: int = 0,
    end: EndKind = EndKind.EXITED,
) -> CommandResult:
    state = JobState.FAILED if exit_code else JobState.SUCCEEDED
    return CommandResult(
        job=Job(id="remote-7", state=state, exit_code=exit_code),
        end=end,
        stdout=Output(head=stdout.encode(), size_bytes=len(stdout.encode())),
        stderr=Output(head=stderr.encode(), size_bytes=len(stderr.encode())),
    )


# -- status -----------------------------------------------------------------------


def test_a_status_is_read_with_every_kind_of_line() -> None:
    assert porcelain.status(STATUS) == porcelain.Status(
        head=OID,
        branch="main",
        edits=(" M src/a file.py", "A  tab\there", "R  old name -> new name", "UU both.txt"),
        untracked=("été/", "plain"),
    )  # fmt: skip


def test_no_commit_and_no_branch_are_none() -> None:
    text = "# branch.oid (initial)\n# branch.head (detached)\n"
    assert porcelain.status(text) == porcelain.Status()


@given(st.text())
@example("1 \n2 \nu \n? \n1 .M")
def test_any_status_is_read(text: str) -> None:
    porcelain.status(text)


@given(st.text(alphabet=st.characters(exclude_characters="\0"), min_size=1))
@example("\udcff")
def test_a_name_comes_back_as_git_quotes_it(name: str) -> None:
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # not a name that a Linux file can have
        return
    quoted = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}"
        for byte in raw
    )
    assert porcelain.unquote(f'"{quoted}"') == name


@pytest.mark.parametrize("name", ["", '"', "plain", 'a"b', '"open'])
def test_a_name_that_is_not_quoted_stays(name: str) -> None:
    assert porcelain.unquote(name) == name


# -- replies ----------------------------------------------------------------------


def test_a_reply_keeps_every_value_of_a_key() -> None:
    reply = script_replies.read("a=1\nb=x=y\na=2\n")
    assert (reply.all("a"), reply.get("b"), reply.get("c", "none")) == (
        ("1", "2"),
        "x=y",
        "none",
    )
    with pytest.raises(ProtocolError, match="no `c`"):
        reply.need("c")


@given(st.text())
def test_any_reply_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        script_replies.read(text)


def test_a_refusal_has_its_kind_items_and_hint() -> None:
    text = "noise\nitem=a\nitem=b\nhint_code=install-git\nerror=denied two files:\n"
    with pytest.raises(DeniedError) as caught:
        script_replies.parse_result(ended(text, exit_code=75), "sync x on gpu1")
    assert (
        caught.value.message
        == "cannot sync x on gpu1: the machine says: two files:\n  a\n  b"
    )
    assert caught.value.hint == "Install it there: apt-get install git"


def test_a_failure_without_a_reason_is_reported_in_its_own_words() -> None:
    with pytest.raises(
        RefusedError, match="cannot look: the machine says: sh: cut: not found"
    ):
        script_replies.parse_result(
            ended(stderr="sh: cut: not found\n", exit_code=127), "look"
        )
    with pytest.raises(RefusedError, match="it printed nothing"):
        script_replies.parse_result(ended("error=nonsense\n", exit_code=1), "look")


def test_a_lost_connection_and_a_deadline_are_not_answers() -> None:
    with pytest.raises(ConnectionLostError, match="remote-7 may still run"):
        script_replies.parse_result(ended(end=EndKind.CONNECTION_LOST), "look")
    with pytest.raises(TimedOutError):
        script_replies.parse_result(ended(end=EndKind.TIMED_OUT), "look")


def test_long_lists_are_cut() -> None:
    text = script_replies.listed("files:", tuple(map(str, range(25))))
    assert text.splitlines()[-2:] == ["  19", "  ... and 5 more"]


def test_the_facts_of_a_clone_are_a_tree() -> None:
    reply = script_replies.read(
        f"clone=yes\nurl=git@host:x\nlock=\noperation=merge\nunpushed=abc x\n"
        f"status=# branch.oid {OID}\nstatus=# branch.head main\nstatus=? a\n"
    )
    assert repo.tree("/w/x", reply) == repo.Tree(
        path="/w/x",
        head=OID,
        branch="main",
        url="git@host:x",
        untracked=("a",),
        unpushed=("abc x",),
        operation="merge",
    )


# -- git's complaints -------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind"),
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
def test_git_is_understood(said: str, kind: type[SandboxError]) -> None:
    error = explanations.explain(said)
    assert type(error) is kind
    assert error.hint
    assert error.message == said


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
