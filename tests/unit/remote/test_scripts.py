"""Data enters shell text in one place, and comes out of any sh byte for byte."""

import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_ops.errors import UsageError
from sandbox_ops.remote import scripts

FOLDER = Path(str(resources.files(scripts)))
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]
text = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40
)


@given(st.lists(text, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_arguments_come_back_byte_for_byte_from_every_shell(values: list[str]) -> None:
    program = f"set -- {scripts.words(*values)}\nfor a; do printf '%s\\0' \"$a\"; done"
    for shell in SHELLS:
        done = subprocess.run([*shell, "-c", program], capture_output=True, check=True)
        assert done.stdout == b"".join(value.encode() + b"\0" for value in values)


def test_a_nul_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="NUL byte"):
        scripts.words("a\0b")


@pytest.mark.parametrize("name", ["a b", "a;b", "1a", "", "a=b", "é"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="environment variable"):
        scripts.assignments({name: "x"})


@given(text)
@settings(max_examples=30, deadline=None)
def test_the_value_of_a_variable_is_data(value: str) -> None:
    program = scripts.assignments({"VALUE": value}) + '\nprintf %s "$VALUE"'
    done = subprocess.run(["dash", "-c", program], capture_output=True, check=True)
    assert done.stdout == value.encode()


@pytest.mark.parametrize("size", [10, 5000])
def test_a_request_says_how_long_its_body_is(size: int) -> None:
    request = scripts.request(7, "read", ["x" * size, "a\nb"])
    head, _, body = request.partition(b"\n")
    sequence, lines, length = map(int, head.removeprefix(b"#").split())
    assert sequence == 7
    if lines:
        assert body.count(b"\n") == lines
    else:
        assert len(body) == length


@given(st.lists(text, min_size=1), st.sampled_from(["", "x" * 5000]))
@settings(max_examples=50, deadline=None)
def test_to_a_shell_that_took_our_place_all_but_the_first_line_is_a_comment(
    values: list[str], filler: str
) -> None:
    sent = scripts.opening("abc") + scripts.request(1, "start", [*values, filler])
    first, *rest = sent.removesuffix(b"\n").split(b"\n")
    assert first == b"printf '\\nabc bare\\n'"
    assert [line for line in rest if not line.startswith(b"#")] == []
    needed = scripts.needed("abc", "").removesuffix(b"\n").split(b"\n")
    assert [line for line in needed if not line.startswith(b"#")] == []


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.sh")), ids=lambda p: p.name)
@pytest.mark.parametrize("shell", SHELLS, ids=lambda s: s[0])
def test_every_script_is_sh_to_every_shell(path: Path, shell: list[str]) -> None:
    done = subprocess.run([*shell, "-n", path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def _code(path: Path) -> str:
    return re.sub(r"(^|\s)#.*", "", path.read_text())


def _functions(path: Path) -> set[str]:
    return set(re.findall(r"^(\w+)\(\) \{$", path.read_text(), re.MULTILINE))


def test_a_machine_without_proc_is_read_by_the_same_functions() -> None:
    linux, bsd = (
        FOLDER / "lib" / f"{name}.sh" for name in (scripts.LINUX, scripts.BSD)
    )
    own = {"use_tools", "write_tools"}
    assert _functions(bsd) - own == _functions(linux) - {"knows_z"}


def test_nothing_but_the_readers_of_a_kernel_reads_proc() -> None:
    readers = {f"{name}.sh" for name in (scripts.LINUX, scripts.BSD)}
    # what a file is called, a driver, and whether there is a /proc
    named = {"read.sh", "env_look.sh", "worker.sh", "stream.sh"}
    found = {path.name for path in FOLDER.rglob("*.sh") if "/proc" in _code(path)}
    assert found - readers <= named
    assert "/proc" not in _code(FOLDER / "lib" / "worker.sh")


@pytest.mark.parametrize(
    "path",
    sorted((*FOLDER.glob("*.sh"), *FOLDER.glob("guards/*.sh"))),
    ids=lambda p: p.name,
)
def test_a_script_names_the_tools_that_a_bsd_lacks(path: Path) -> None:
    used = {
        tool
        for tool in scripts.TOOLS
        if re.search(
            rf"(?:^|[ (|=]){tool} (?:-|[0-9$]|iflag|bs=|<)", _code(path), re.MULTILINE
        )
    }
    named = set(
        " ".join(re.findall("^# uses: (.*)$", path.read_text(), re.MULTILINE)).split()
    )
    if not path.name.startswith("slurm"):
        assert used <= named


def test_a_machine_asks_for_the_library_by_its_name() -> None:
    name = scripts.library_name(scripts.BSD)
    assert name.encode() in scripts.opening("abc")
    assert b"FACTS_PROGRAM" in scripts.needed("abc", name)
    assert b"FACTS_PROGRAM" not in scripts.needed("abc", scripts.library_name())
    assert b"FACTS_PROGRAM" not in scripts.needed("abc", "anything")


def test_the_reader_is_perl_to_perl() -> None:
    program = FOLDER / "lib" / f"{scripts.BSD}.pl"
    done = subprocess.run(["perl", "-wc", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
