"""Paths asked for by name: where they are looked for, and where here they go."""

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.workflows import fetch_paths
from sandbox_ops.workflows.fetch_paths import NamedPath


def named(path: str, *, into: bool = False) -> NamedPath:
    return fetch_paths.named(
        path,
        project_path="/workspace/bucket",
        workspace="/workspace",
        home="/home/me",
        outputs=("models",),
        into=into,
    )


@pytest.mark.parametrize(
    ("path", "root", "pattern", "to"),
    [
        ("models/a.pt", "/workspace/bucket", "models/a.pt", ""),
        ("/workspace/bucket/models/a.pt", "/workspace/bucket", "models/a.pt", ""),
        ("runs/3", "/workspace/bucket/runs", "3", "fetched/"),
        ("~/x.csv", "/home/me", "x.csv", "fetched/"),
        ("/workspace/bucket/runs/*/m.csv", "/workspace/bucket/runs", "*/m.csv", "fetched/"),
        ("/workspace/other/a b", "/workspace/other", "a b", "fetched/"),
    ],
)  # fmt: skip
def test_a_declared_output_keeps_its_place_and_all_else_has_a_folder_of_its_own(
    path: str, root: str, pattern: str, to: str
) -> None:
    assert named(path) == NamedPath(root=root, pattern=pattern, to=to)


def test_into_a_folder_a_path_keeps_its_last_name_alone() -> None:
    assert named("models/a.pt", into=True) == NamedPath(
        root="/workspace/bucket/models", pattern="a.pt"
    )


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "/workspace", "~", "~/", "/", "/workspacex/a", "../x", "a/../../x", "a\0"],
)  # fmt: skip
def test_what_is_not_below_the_workspace_or_the_home_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        named(path)


def test_a_name_with_signs_of_a_pattern_stands_for_itself_too() -> None:
    place = named("runs/a[1].txt")
    assert place.names("a[1].txt")
    assert place.names("a1.txt")
    assert not place.names("b.txt")


def test_no_file_with_a_leading_dot_comes_by_its_name() -> None:
    assert fetch_paths.left_out("fetched/.envrc") == "its name begins with a dot"
    assert fetch_paths.left_out("fetched/.vscode/tasks.json")
    assert fetch_paths.left_out("fetched/a.b") == ""
