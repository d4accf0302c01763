"""A machine whose accounts are others than this one's: /etc/passwd in a mount namespace."""

from pathlib import Path

_ENTER = (
    'mount --bind "$1/nsswitch" /etc/nsswitch.conf &&'
    ' mount --bind "$1/passwd" /etc/passwd && shift && exec "$@"'
)


def with_accounts(folder: Path, *lines: str) -> tuple[str, ...]:
    """Return the words before a command that sees these lines of passwd(5) alone.

    None: as in a container that runs as a number that no file gives a name. Needs root.
    """
    folder.mkdir()
    (folder / "passwd").write_text("".join(f"{line}\n" for line in lines))
    (folder / "nsswitch").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    namespace = ("unshare", "--mount", "--propagation", "slave")
    return (*namespace, "sh", "-c", _ENTER, "sh", str(folder))
