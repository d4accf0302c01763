"""Which algorithms a connection may use: what ssh_config allows of what there is here.

Pure: names in, names out. A directive that leaves nothing is refused by its name; a
server with which nothing is shared is told apart from one that is gone, list by list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sandbox_ops.errors import ConfigError
from sandbox_ops.ssh.resolved_host import ResolvedHost
from sandbox_ops.text import address

WEAK = ("3des", "-cbc", "arcfour", "md5", "sha1-96")
"""Parts of the names of what is never used, whatever the server or ssh_config says."""
_CERTIFICATE = "-cert-v01@openssh.com"
_OFFER_KEYS = {
    "kex": ("kex_algo_list",),
    "host_keys": ("server_key_algo_list",),
    "ciphers": ("client_encrypt_algo_list", "server_encrypt_algo_list"),
    "macs": ("client_mac_algo_list", "server_mac_algo_list"),
}
"""Where paramiko keeps what a server offered (RFC 4253, section 7.1)."""
_NO_ALGORITHMS = ("kex-strict-", "ext-info-")
"""What stands among key exchanges and only says what else a server knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithms:
    """Names of algorithms, each kind in order of preference."""

    kex: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    user_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A kind of algorithm of which nothing is shared.

    Attributes:
        directive: Its name in ssh_config and sshd_config.
        ours: What we may use.
        theirs: What the server offers.
    """

    directive: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]

    def __str__(self) -> str:
        theirs = ", ".join(self.theirs) or "nothing"
        return f"{self.directive}: it offers {theirs}; here are {', '.join(self.ours)}"


_DIRECTIVES = {
    "kex": "KexAlgorithms",
    "host_keys": "HostKeyAlgorithms",
    "ciphers": "Ciphers",
    "macs": "MACs",
    "user_keys": "PubkeyAcceptedAlgorithms",
}


def allowed(resolved: ResolvedHost, available: Algorithms) -> Algorithms:
    """Return what ssh_config allows of what is available.

    Its order holds. Where its first choice is not available, as with OpenSSH's own
    defaults, ours does, which has the quickest first.

    Raises:
        ConfigError: A directive leaves nothing; names it.
    """
    return Algorithms(
        **{
            field.name: _chosen(
                _DIRECTIVES[field.name],
                getattr(resolved.algorithms, field.name, ()),
                getattr(available, field.name),
                resolved.alias,
            )
            for field in fields(Algorithms)
        }
    )


def _chosen(
    directive: str, wanted: Sequence[str], available: Sequence[str], alias: str
) -> tuple[str, ...]:
    strong = tuple(name for name in available if not any(w in name for w in WEAK))
    if not wanted:
        return strong
    if wanted[0][:1] in "+-^":
        return _changed(strong, wanted[0][0], (wanted[0][1:], *wanted[1:]))
    if wanted[0] in strong:
        chosen = tuple(name for name in wanted if name in strong)
    else:
        chosen = tuple(name for name in strong if name in wanted)
    if not chosen:
        raise ConfigError(
            f"{directive} of ssh_config for {alias} allows only {', '.join(wanted)}, "
            "and none of these is available here",
            f"Add one of these to {directive} for Host {alias}: {', '.join(strong)}",
        )
    return chosen


def _changed(
    defaults: tuple[str, ...], sign: str, names: Sequence[str]
) -> tuple[str, ...]:
    """Return the defaults with names added, taken out or put first.

    `ssh -G` has done that already; paramiko's parser has not.
    """
    named = tuple(name for name in defaults if address.matches(names, name))
    if sign == "+":  # what could be added is among the defaults already
        return defaults
    rest = tuple(name for name in defaults if name not in named)
    return rest if sign == "-" else (*named, *rest)


def mismatches(
    ours: Algorithms, offered: Mapping[str, Sequence[str]]
) -> tuple[Mismatch, ...]:
    """Return the kinds of which a server offers none that we may use."""
    mismatched = []
    for kind, keys in _OFFER_KEYS.items():
        mine = getattr(ours, kind)
        for key in keys:
            theirs = tuple(
                name
                for name in offered.get(key, ())
                if name and not name.startswith(_NO_ALGORITHMS)
            )
            if not set(mine) & set(theirs):
                mismatched.append(Mismatch(_DIRECTIVES[kind], mine, theirs))
                break
    return tuple(mismatched)


def accepts_key(key_type: str, user_keys: Sequence[str]) -> bool:
    """Whether a key or certificate of that type may be offered.

    Args:
        key_type: As the key itself calls it; RSA keys are `ssh-rsa` whatever way of
            signing is used with them.
        user_keys: `Algorithms.user_keys`.
    """
    plain = key_type.removesuffix(_CERTIFICATE)
    end = key_type.removeprefix(plain)
    ways = ("rsa-sha2-512", "rsa-sha2-256") if plain == "ssh-rsa" else (plain,)
    return any(f"{way}{end}" in user_keys for way in ways)


def host_key_order(
    host_keys: Sequence[str], known_types: Sequence[str], *, certificates: bool
) -> tuple[str, ...]:
    """Return what to ask a server for: certificates if any counts, then known types.

    A machine that shows a type which is not on record cannot be told from an impostor.
    """

    def rank(name: str) -> tuple[bool, int]:
        plain = name.removesuffix(_CERTIFICATE)
        key_type = "ssh-rsa" if plain.startswith("rsa-sha2-") else plain
        known = known_types.index(key_type) if key_type in known_types else 99
        is_certificate = name.endswith(_CERTIFICATE)
        return is_certificate != certificates, known

    return tuple(sorted(host_keys, key=rank))
