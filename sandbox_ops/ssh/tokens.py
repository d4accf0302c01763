"""Expansion of what ssh_config leaves open: `~`, `${VAR}`, `%` tokens, lists of files. Pure.

`ssh -G` prints IdentityFile, CertificateFile, ProxyCommand and ProxyJump as they were
written (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUser:
    """The local user: what `~`, `${VAR}` and the tokens %d %u %i %L stand for."""

    home: str
    name: str = ""
    uid: int | None = None
    hostname: str = ""
    environ: Mapping[str, str]

    @property
    def tokens(self) -> dict[str, str]:
        """The tokens that say something of this machine."""
        tokens = {"d": self.home, "u": self.name, "L": self.hostname}
        return tokens if self.uid is None else {**tokens, "i": str(self.uid)}


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """Replace `%h` and the like; a token that `tokens` lacks stays as it is."""
    known = {"%": "%", **tokens}
    return re.sub(r"%(.)", lambda match: known.get(match[1], match[0]), text)


def expand_path(text: str, tokens: Mapping[str, str], local: LocalUser) -> str:
    """Expand `~`, `${VAR}` and tokens of one path, as ssh does for IdentityFile.

    A variable that is not set stays as it is, so that a message can show it.
    """

    def variable(match: re.Match[str]) -> str:
        return local.environ.get(match[1], match[0])

    if text == "~" or text.startswith("~/"):
        text = local.home + text[1:]
    return expand(re.sub(r"\$\{(\w+)\}", variable, text), tokens)


def split_files(text: str) -> tuple[str, ...]:
    """Split a list of files; `ssh -G` prints "/a b" "/c" as `/a b /c`, unquoted.

    So a word goes with the one before it unless it begins like a path.
    """
    if '"' in text:
        try:
            return tuple(shlex.split(text))
        except ValueError:  # an open quote: ssh refuses the file, paramiko does not
            return ()
    absolute = text.startswith(("/", "~"))
    return tuple(filter(None, re.split(r" +(?=[/~])" if absolute else " +", text)))
