"""What git prints for programs, as values."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox_ops.git import porcelain

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
