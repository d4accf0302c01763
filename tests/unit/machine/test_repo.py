"""What the facts of a clone mean."""

from sandbox_ops.machine import repo
from sandbox_ops.remote import script_replies

OID = "1" * 40


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
