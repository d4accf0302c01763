"""What is right afterwards, from what lies on the machine and what the programs noted."""

import contextlib
import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import processes
from waiting import wait_until

from agent_eval.world import Layout

_PROGRAMS = re.compile(r"\b(train|step)\.py\b")
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is right or not.

    Attributes:
        name: What it says where it holds.
        seen: What there is instead, where it does not.
    """

    name: str
    holds: bool
    seen: str = ""


Check = Callable[[Layout], Fact]


def ran(name: str, times: int = 1) -> Check:
    """A program began so often."""

    def check(place: Layout) -> Fact:
        seen = len(_lines(place, f"{name}.runs"))
        return Fact(f"{name} ran {_times(times)}", seen == times, f"ran {_times(seen)}")

    return check


def finished(name: str, code: int = 0) -> Check:
    """A program came to its own end."""

    def check(place: Layout) -> Fact:
        seen = _lines(place, f"{name}.code") or ["never"]
        return Fact(f"{name} finished", seen[0] == str(code), f"ended: {seen[0]}")

    return check


def unfinished(name: str) -> Check:
    """A program was ended before its end."""

    def check(place: Layout) -> Fact:
        over = (place.truth / f"{name}.code").exists()
        return Fact(f"{name} was stopped", not over, "came to its end")

    return check


def learned(name: str, value: str) -> Check:
    """The client knows something."""

    def check(place: Layout) -> Fact:
        seen = place.read_answers().get(name, "nothing")
        return Fact(f"{name} is known", seen == value, f"{seen}, not {value}")

    return check


def nothing_left(place: Layout) -> Fact:
    """No program of the scenario runs on the machine, a moment after the client left."""
    name = "nothing left running"
    try:
        wait_until(lambda: not _running(place), _END_S)
    except AssertionError:
        return Fact(name, holds=False, seen=", ".join(_running(place).values()))
    return Fact(name, holds=True)


def home_alike(path: str) -> Check:
    """A file of the project there is home, byte for byte, somewhere in the clone."""

    def check(place: Layout) -> Fact:
        there = _sha256(place.remote_clone / path)
        copies = place.git.clone.rglob(Path(path).name)
        here = {str(copy): _sha256(copy) for copy in copies}
        holds = there is not None and there in here.values()
        return Fact(f"{path} is home", holds, f"there {there}, here {here or 'none'}")

    return check


def at_upstream(place: Layout) -> Fact:
    """The clone there is clean, and at the commit of the remote's branch."""
    commit = _git(place, "rev-parse", "HEAD")
    upstream = place.git.git("rev-parse", "origin/main")
    edits = _git(place, "status", "--porcelain")
    holds = commit == upstream and not edits
    return Fact("clean at upstream", holds, f"at {commit[:10]}: {edits or 'clean'}")


def rescued(token: str) -> Check:
    """An edit that was made there is in a ref of the clone there."""

    def check(place: Layout) -> Fact:
        refs = _git(place, "for-each-ref", "--format=%(refname)").split()
        holds = any(_git(place, "grep", "-l", token, ref) for ref in refs)
        return Fact("the edit there is rescued", holds, f"in none of {len(refs)} refs")

    return check


def trained_at_upstream(name: str) -> Check:
    """A training ran from the commit that is upstream, the fix."""

    def check(place: Layout) -> Fact:
        upstream = place.git.git("rev-parse", "origin/main")
        commits = _lines(place, f"{name}.runs")
        return Fact("the fix is what ran", commits == [upstream], f"ran {commits}")

    return check


def _lines(place: Layout, name: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return (place.truth / name).read_text("utf-8").split()
    return []


def _running(place: Layout) -> dict[int, str]:
    there = processes.carrying(f"HOME={place.home}")
    return {pid: words for pid, words in there.items() if _PROGRAMS.search(words)}


def _sha256(file: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
    return None


def _git(place: Layout, *words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=place.remote_clone if place.remote_clone.exists() else place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def all_of(checks: tuple[Check, ...], place: Layout) -> Iterator[Fact]:
    """Look at every one."""
    for check in checks:
        yield check(place)
