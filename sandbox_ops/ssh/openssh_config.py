"""What ssh_config says of a machine, from the output of `ssh -G`: text in, value out.

OpenSSH itself resolves Include, Match, patterns and defaults; we read its answer.
Where no ssh client is installed, paramiko's parser resolves: `from_options` makes the
same value of what it found, and `warnings_for_fallback` says what it passed over.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.errors import ConfigError
from sandbox_ops.ssh import tokens
from sandbox_ops.ssh.tokens import LocalUser
from sandbox_ops.text import address

__all__ = [
    "LocalUser",
    "ResolvedHost",
    "from_options",
    "lookup_command",
    "read",
    "warnings_for_fallback",
]

_DEFAULTS: dict[str, list[str]] = {
    "port": ["22"],
    "identityfile": ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"],
    "userknownhostsfile": ["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
    "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
}
# Directives that change what happens on the wire and that we do not carry out.
_NOT_HONOURED = {
    "bindinterface": "BindInterface",
    "knownhostscommand": "KnownHostsCommand",
    "pkcs11provider": "PKCS11Provider",
    "proxyusefdpass": "ProxyUseFdpass",
    "remotecommand": "RemoteCommand",
    "revokedhostkeys": "RevokedHostKeys",
}
_OFF = frozenset({"", "none", "no", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedHost:
    """A machine as OpenSSH would reach it.

    Attributes:
        alias: The name that was asked for.
        identity_files: In the order to try; they need not exist.
        identities_only: Offer only these, none that the agent has besides.
        identities_first: Offer these before what the agent has besides: they were named
            for this machine, and servers hang up after six keys.
        host_key_alias: The name to look up in known_hosts instead of host and port.
        proxy_command: Tokens expanded, ready for a shell; None: no proxy.
        proxy_jump: The hops, the first to connect to first: `[user@]host[:port]` or
            ssh:// URIs. Each is a name of ssh_config of its own; only the first hop's
            own ProxyCommand and ProxyJump count.
        connect_timeout_s: None where none is set.
        forward_agent: Whether agent forwarding is asked for.
        identity_agent: The agent's socket; "none": no agent; "" or "SSH_AUTH_SOCK":
            the one that the environment names.
        address_family: "any", "inet" or "inet6".
        host_key_algorithms: In order of preference; empty: the client's own.
        hash_known_hosts: Whether a line for known_hosts is to hide the name.
        not_honoured: Directives in effect that we do not carry out.
    """

    alias: str
    hostname: str
    port: int
    user: str
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    identities_first: bool = False
    host_key_alias: str = ""
    user_known_hosts_files: tuple[str, ...] = ()
    global_known_hosts_files: tuple[str, ...] = ()
    proxy_command: str | None = None
    proxy_jump: tuple[str, ...] = ()
    connect_timeout_s: float | None = None
    forward_agent: bool = False
    identity_agent: str = ""
    address_family: str = "any"
    bind_address: str = ""
    host_key_algorithms: tuple[str, ...] = ()
    hash_known_hosts: bool = False
    not_honoured: tuple[str, ...] = ()

    @property
    def hops(self) -> tuple[address.Address, ...]:
        """The hops of ProxyJump as addresses.

        Raises:
            ConfigError: One of them is not an address.
        """
        try:
            return tuple(address.read(hop) for hop in self.proxy_jump)
        except ValueError as error:
            raise ConfigError(
                f"ssh_config: ProxyJump {','.join(self.proxy_jump)!r} of {self.alias} "
                f"{error}: expected [user@]host[:port], several with commas",
                f"See what ssh makes of it: ssh -G {self.alias} | grep -i proxy",
            ) from error


def lookup_command(
    host: str,
    *,
    port: int | None = None,
    user: str | None = None,
    identity_file: str | None = None,
    config_file: str | None = None,
) -> tuple[str, ...]:
    """Return the argv that asks the ssh client how it would reach a host.

    The overrides go in as ssh's own options, so that Match and tokens see them.

    Raises:
        ConfigError: The host or user could be taken for an option or for shell text.
    """
    try:
        host, user = address.check_host(host), user and address.check_user(user)
    except ValueError as error:
        raise ConfigError(
            f"cannot reach {host!r}: it {error}",
            "Name an ssh_config alias, a host or an IP address.",
        ) from error
    given = {
        "-F": config_file,
        "-p": port and str(port),
        "-l": user,
        "-i": identity_file,
    }
    options = [word for flag, value in given.items() if value for word in (flag, value)]
    # -T: without it ssh complains on stderr that there is no terminal.
    return ("ssh", "-G", "-T", *options, "--", host)


def read(output: str, alias: str, local: LocalUser) -> ResolvedHost:
    """Read what `ssh -G` printed for an alias.

    Raises:
        ConfigError: It does not name a host, a port and a user.
    """
    options: dict[str, list[str]] = {}
    for line in output.split("\n"):
        keyword, _, value = line.strip().partition(" ")
        options.setdefault(keyword.lower(), []).append(value.strip())
    if not options.keys() >= {"hostname", "port", "user"}:
        raise ConfigError(
            f"cannot resolve {alias}: `ssh -G` named no host name, port and user",
            f"Run it by hand: ssh -G {alias}",
        )
    return _resolved(options, alias, local)


def from_options(
    options: Mapping[str, str | Sequence[str] | None], alias: str, local: LocalUser
) -> ResolvedHost:
    """Make the same value of what paramiko's parser found (`SSHConfig.lookup`).

    Raises:
        ConfigError: The port is not a number.
    """
    given: dict[str, Sequence[str]] = {
        keyword: (value or "none",) if isinstance(value, str | None) else value
        for keyword, value in options.items()
    }
    usual = {**_DEFAULTS, "hostname": [alias], "user": [local.name]}
    return _resolved({**usual, **given}, alias, local)


def _resolved(
    options: Mapping[str, Sequence[str]], alias: str, local: LocalUser
) -> ResolvedHost:
    hostname, port, user = (options[key][0] for key in ("hostname", "port", "user"))
    tokens = {"h": hostname, "n": alias, "p": port, "r": user, **local.tokens}
    tokens["k"] = next(iter(options.get("hostkeyalias", ())), alias)
    found = _Options(options, tokens, local)
    proxy_command, proxy_jump = found.proxy()
    return ResolvedHost(
        alias=alias,
        hostname=hostname,
        port=_port(port, alias),
        user=user,
        identity_files=found.paths(options.get("identityfile", ())),
        certificate_files=found.paths(options.get("certificatefile", ())),
        identities_only=found.on("identitiesonly"),
        host_key_alias=found.one("hostkeyalias"),
        user_known_hosts_files=found.files("userknownhostsfile"),
        global_known_hosts_files=found.files("globalknownhostsfile"),
        proxy_command=proxy_command,
        proxy_jump=proxy_jump,
        connect_timeout_s=found.seconds("connecttimeout"),
        forward_agent=found.on("forwardagent"),
        identity_agent=found.agent(),
        address_family=found.one("addressfamily") or "any",
        bind_address=found.one("bindaddress"),
        host_key_algorithms=found.words("hostkeyalgorithms"),
        hash_known_hosts=found.on("hashknownhosts"),
        not_honoured=tuple(
            name for key, name in _NOT_HONOURED.items() if found.on(key)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """The directives in effect for one machine, by keyword in lower case."""

    values: Mapping[str, Sequence[str]]
    tokens: Mapping[str, str]
    local: LocalUser

    def one(self, keyword: str) -> str:
        value = next(iter(self.values.get(keyword, ())), "")
        return "" if value.lower() == "none" else value

    def on(self, keyword: str) -> bool:
        return self.one(keyword).lower() not in _OFF

    def words(self, keyword: str) -> tuple[str, ...]:
        words = (word.strip() for word in self.one(keyword).split(","))
        return tuple(word for word in words if word)

    def seconds(self, keyword: str) -> float | None:
        text = self.one(keyword)
        return float(text) if re.fullmatch("[0-9]{1,9}", text) else None

    def paths(self, texts: Sequence[str]) -> tuple[str, ...]:
        wanted = (text for text in texts if text.lower() not in {"", "none"})
        return tuple(
            tokens.expand_path(text, self.tokens, self.local) for text in wanted
        )

    def files(self, keyword: str) -> tuple[str, ...]:
        return self.paths(tokens.split_files(self.one(keyword)))

    def agent(self) -> str:
        text = next(iter(self.values.get("identityagent", ())), "")
        return tokens.expand_path(text, self.tokens, self.local)

    def proxy(self) -> tuple[str | None, tuple[str, ...]]:
        """Decide between ProxyCommand and ProxyJump as ssh does: the first one holds.

        `ProxyCommand none` holds too, but `ProxyJump none` lets ProxyCommand through.
        """
        kinds = ("proxycommand", "proxyjump")
        first = next((keyword for keyword in self.values if keyword in kinds), "")
        jump = self.words("proxyjump") if first == "proxyjump" else ()
        if jump:
            return None, tuple(tokens.expand(hop, self.tokens) for hop in jump)
        return tokens.expand(self.one("proxycommand"), self.tokens) or None, ()


def _port(text: str, alias: str) -> int:
    try:
        return address.check_port(text)
    except ValueError as error:
        raise ConfigError(
            f"cannot resolve {alias}: ssh_config {error}: {text!r}",
            f"See what ssh makes of it: ssh -G {alias}",
        ) from error


_PARAMIKO_CRITERIA = frozenset(
    {"all", "canonical", "exec", "final", "host", "localuser", "originalhost", "user"}
)


def warnings_for_fallback(config_text: str, host: str) -> tuple[str, ...]:
    """Name what paramiko's parser passes over or misreads in an ssh_config file.

    Only lines that can concern `host` are looked at; a Match block can.
    """
    warnings = []
    concerns = True
    for number, line in enumerate(config_text.split("\n"), start=1):
        keyword, value = _directive(line)
        if keyword == "host":
            concerns = address.matches(value.replace('"', "").split(), host)
        elif keyword == "match":
            concerns = True
        why = _misread(keyword, value) if concerns else ""
        if why:
            warnings.append(f"line {number}: `{line.strip()}`: {why}")
    return tuple(warnings)


def _directive(line: str) -> tuple[str, str]:
    """Split `Keyword value` or `Keyword = value`."""
    found = re.match(r"\s*(\w+)(?:\s*=\s*|\s+)(.*\S)", line)
    return (found[1].lower(), found[2]) if found else ("", "")


def _misread(keyword: str, value: str) -> str:
    if keyword == "include":
        return "the file is not read"
    if keyword == "match":
        unknown = sorted(_criteria(value) - _PARAMIKO_CRITERIA)
        return f"taken as if {' and '.join(unknown)} matched" if unknown else ""
    if keyword == "proxycommand" and "%%" in value:
        return "%% is not expanded"
    off = value.lower() in _OFF
    return "not carried out" if keyword in _NOT_HONOURED and not off else ""


def _criteria(value: str) -> set[str]:
    """Return the names of a Match line's criteria, without their arguments."""
    try:
        words = shlex.split(value)
    except ValueError:  # an open quote: paramiko refuses the whole file
        return set()
    names = set()
    while words:
        name, equals, _ = words.pop(0).removeprefix("!").lower().partition("=")
        names.add(name)
        if not equals and name not in {"all", "canonical", "final"}:
            words = words[1:]
    return names
