"""Leases: one changes a tree at a time; who was away too long changes nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import leases, repo
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    return set_up(sandbox, git_project)


@pytest.fixture
def other(sandbox: Sandbox) -> Sandbox:
    """Another client of the same machine."""
    return Sandbox(sandbox.config, started_by="rosa@laptop")


def test_who_holds_a_tree_is_said_to_whoever_wants_it_too(
    place: Place, other: Sandbox
) -> None:
    path = str(place.clone)
    with (
        other,
        leases.held(place.sandbox, path, "sync"),
        pytest.raises(RefusedError) as caught,
        leases.held(other, path, "reset", wait_s=0),
    ):
        pass
    message = caught.value.message
    assert f"{place.sandbox.started_by}: sync is at work in {path}" in message
    assert "try again" in caught.value.hint
    with leases.held(place.sandbox, path, "reset", wait_s=0):
        pass  # it was given back


def test_a_second_client_waits_and_then_goes_on(place: Place, other: Sandbox) -> None:
    place.git.commit({"a": "1"}, push=True)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with leases.held(other, str(place.clone), "sync"):
            held.set()
            go.wait(20)

    holder = threading.Thread(target=hold)
    with other:
        holder.start()
        assert held.wait(20)
        threading.Timer(1.0, go.set).start()
        report = sync(place.sandbox, place.project)
        holder.join(20)
    assert report.commit_after == place.git.head == place.head


@pytest.mark.slow
def test_each_verb_that_changes_the_tree_is_refused_while_it_is_held(
    place: Place, other: Sandbox
) -> None:
    place.git.commit({"a": "1"}, push=True)
    before = place.head
    verbs = (sync, reset, setup)
    with (
        other,
        ThreadPoolExecutor(len(verbs)) as pool,
        leases.held(other, str(place.clone), "reset"),
    ):
        project = place.git.project(setup=("echo another",))
        doing = [pool.submit(verb, place.sandbox, project) for verb in verbs]
        for each in doing:
            with pytest.raises(RefusedError, match=r"rosa@laptop: reset is at work"):
                each.result(60)
        assert reset(place.sandbox, place.project, dry_run=True).dry_run
    assert place.head == before


@pytest.mark.slow
def test_the_lease_of_a_client_that_died_is_taken_over_and_its_late_step_refused(
    place: Place, other: Sandbox
) -> None:
    commit = place.git.commit({"a": "1"}, push=True)
    path = str(place.clone)
    tree = repo.cloned(place.sandbox, place.project)
    died = leases.held(place.sandbox, path, "sync", lease_s=1)
    late = died.__enter__()
    repo.fetch(late, path, tree.branch or "", commit)
    with other:
        with leases.held(other, path, "reset", wait_s=20, lease_s=60):
            # the first is back, and goes on as if nothing had been
            with pytest.raises(
                RefusedError, match=r"rosa@laptop: reset has taken over"
            ):
                repo.checkout(late, tree, tree.branch or "", commit)
            assert place.head == tree.head
        with pytest.raises(RefusedError, match="has taken over"):
            repo.checkout(late, tree, tree.branch or "", commit)
    assert place.head == tree.head
    died.__exit__(None, None, None)


def test_nobody_takes_over_while_a_step_of_a_dead_client_still_runs(
    make_sshd: Callable[..., SshServer], git_project: GitProject, tmp_path: Path
) -> None:
    server = make_sshd()
    config = server.config()
    with Sandbox(config) as sandbox:
        place = set_up(sandbox, git_project)
        commit = place.git.commit({"slow.txt": "x"}, push=True)
        go = tmp_path / "go"
        hook = place.clone / ".git/hooks/post-checkout"
        hook.write_text(f"#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.1; done\n")
        hook.chmod(0o755)
        path, tree = str(place.clone), repo.cloned(sandbox, place.project)
        dying = Sandbox(config, started_by="gone@desk")
        held = leases.held(dying, path, "sync", lease_s=1)
        view = held.__enter__()
        repo.fetch(view, path, tree.branch or "", commit)
        step = threading.Thread(
            target=lambda: _ignoring(
                lambda: repo.checkout(view, tree, tree.branch or "", commit)
            )
        )
        step.start()
        wait_until(lambda: place.head == commit)
        dying.close()
        with (
            pytest.raises(RefusedError, match=r"gone@desk: sync is at work"),
            leases.held(sandbox, path, "reset", wait_s=3),
        ):
            pass
        go.write_text("")
        with leases.held(sandbox, path, "reset", wait_s=20):
            assert place.head == commit
        step.join(30)


def _ignoring(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:  # noqa: BLE001 - its client was closed under it
        return


def test_nothing_is_left_beside_the_clone(place: Place) -> None:
    names = {path.name for path in place.clone.parent.iterdir()}
    assert names == {place.clone.name}
    assert place.run("status", "--porcelain") == ""
