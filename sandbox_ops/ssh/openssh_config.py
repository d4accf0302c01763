"""What ssh_config says of a machine, from the output of `ssh -G`: text in, value out. Pure.

OpenSSH itself resolves Include, Match, patterns and defaults; we read its answer.
Where no ssh client is installed, paramiko's parser resolves: `from_options` makes the
same value of what it reads. (A little over 250 lines: one value and its two readers.)
"""

import contextlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.errors import ConfigError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import tokens
from sandbox_ops.ssh.resolved_host import (
    NOT_HONOURED,
    OFF,
    AllowedByConfig,
    ResolvedHost,
)
from sandbox_ops.ssh.tokens import LocalUser
from sandbox_ops.text import address

__all__ = [
    "LocalUser",
    "ResolvedHost",
    "from_options",
    "lookup_command",
    "lookup_of",
    "read",
]

_DEFAULTS: dict[str, list[str]] = {
    "port": ["22"],
    "identityfile": ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"],
    "userknownhostsfile": ["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
    "requiredrsasize": ["1024"],
    "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
}


def lookup_of(config: SandboxConfig) -> tuple[str, ...]:
    """Return the argv that asks the ssh client how it would reach a sandbox.

    Raises:
        ConfigError: The host or user could be taken for an option or for shell text.
    """
    return lookup_command(
        config.host,
        port=config.port,
        user=config.user,
        identity_file=config.identity_file,
        config_file=config.ssh_config,
        ssh_options=config.ssh_options,
    )


def lookup_command(
    host: str,
    *,
    port: int | None = None,
    user: str | None = None,
    identity_file: str | None = None,
    config_file: str | None = None,
    ssh_options: Sequence[str] = (),
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
    values = {
        "-F": config_file,
        "-p": port and str(port),
        "-l": user,
        "-i": identity_file,
    }
    options = [
        word for flag, value in values.items() if value for word in (flag, value)
    ]
    options += [word for option in ssh_options for word in ("-o", option)]
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
    """Make the same value of what paramiko's parser directives (`SSHConfig.lookup`).

    Raises:
        ConfigError: The port is not a number.
    """
    values: dict[str, Sequence[str]] = {
        keyword: (value or "none",) if isinstance(value, str | None) else value
        for keyword, value in options.items()
    }
    for text in values.get("setenv", ())[:1]:  # `ssh -G` prints a line for each
        with contextlib.suppress(ValueError):
            values["setenv"] = shlex.split(text)
    usual = {**_DEFAULTS, "hostname": [alias], "user": [local.name]}
    return _resolved({**usual, **values}, alias, local)


def _resolved(
    options: Mapping[str, Sequence[str]], alias: str, local: LocalUser
) -> ResolvedHost:
    hostname, port, user = (options[key][0] for key in ("hostname", "port", "user"))
    tokens = {"h": hostname, "n": alias, "p": port, "r": user, **local.tokens}
    tokens["k"] = next(iter(options.get("hostkeyalias", ())), alias)
    directives = _Options(options, tokens, local)
    proxy_command, proxy_jump = directives.proxy()
    return ResolvedHost(
        alias=alias,
        hostname=hostname,
        port=_port(port, alias),
        user=user,
        identity_files=directives.paths(options.get("identityfile", ())),
        certificate_files=directives.paths(options.get("certificatefile", ())),
        identities_only=directives.is_on("identitiesonly"),
        host_key_alias=directives.value("hostkeyalias"),
        user_known_hosts_files=directives.files("userknownhostsfile"),
        global_known_hosts_files=directives.files("globalknownhostsfile"),
        proxy_command=proxy_command,
        proxy_jump=proxy_jump,
        connect_timeout_s=directives.seconds("connecttimeout"),
        forward_agent=directives.forwarded_agent(),
        set_env=directives.assignments("setenv"),
        send_env=tuple(options.get("sendenv", ())),
        identity_agent=directives.agent(),
        address_family=directives.value("addressfamily") or "any",
        bind_address=directives.value("bindaddress"),
        algorithms=directives.algorithms(),
        required_rsa_bits=directives.number("requiredrsasize"),
        revoked_host_keys_files=directives.files("revokedhostkeys"),
        hash_known_hosts=directives.is_on("hashknownhosts"),
        not_honoured=tuple(
            name for key, name in NOT_HONOURED.items() if directives.is_on(key)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """The directives in effect for one machine, by keyword in lower case."""

    values: Mapping[str, Sequence[str]]
    tokens: Mapping[str, str]
    local: LocalUser

    def value(self, keyword: str) -> str:
        value = next(iter(self.values.get(keyword, ())), "")
        return "" if value.lower() == "none" else value

    def is_on(self, keyword: str) -> bool:
        return self.value(keyword).lower() not in OFF

    def names(self, keyword: str) -> tuple[str, ...]:
        names = (word.strip() for word in self.value(keyword).split(","))
        return tuple(word for word in names if word)

    def number(self, keyword: str) -> int:
        text = self.value(keyword)
        return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0

    def assignments(self, keyword: str) -> tuple[tuple[str, str], ...]:
        pairs = (text.partition("=") for text in self.values.get(keyword, ()))
        return tuple((name, value) for name, equals, value in pairs if name and equals)

    def algorithms(self) -> AllowedByConfig:
        # OpenSSH before 8.5 called the last of them otherwise
        user_keys = self.names("pubkeyacceptedalgorithms")
        return AllowedByConfig(
            kex=self.names("kexalgorithms"),
            host_keys=self.names("hostkeyalgorithms"),
            ciphers=self.names("ciphers"),
            macs=self.names("macs"),
            user_keys=user_keys or self.names("pubkeyacceptedkeytypes"),
        )

    def forwarded_agent(self) -> str | None:
        """Return whose agent is forwarded: that of IdentityAgent, or one named here."""
        text = self.value("forwardagent")
        if text.lower() in OFF:
            return None
        if text.lower() in {"yes", "true"}:
            return self.agent()
        return tokens.expand_path(text, self.tokens, self.local)

    def seconds(self, keyword: str) -> float | None:
        text = self.value(keyword)
        return float(text) if re.fullmatch("[0-9]{1,9}", text) else None

    def paths(self, texts: Sequence[str]) -> tuple[str, ...]:
        wanted = (text for text in texts if text.lower() not in {"", "none"})
        return tuple(
            tokens.expand_path(text, self.tokens, self.local) for text in wanted
        )

    def files(self, keyword: str) -> tuple[str, ...]:
        return self.paths(tokens.split_files(self.value(keyword)))

    def agent(self) -> str:
        text = next(iter(self.values.get("identityagent", ())), "")
        return tokens.expand_path(text, self.tokens, self.local)

    def proxy(self) -> tuple[str | None, tuple[str, ...]]:
        """Decide between ProxyCommand and ProxyJump as ssh does: the first one holds.

        `ProxyCommand none` holds too, but `ProxyJump none` lets ProxyCommand through.
        """
        kinds = ("proxycommand", "proxyjump")
        first = next((keyword for keyword in self.values if keyword in kinds), "")
        jump = self.names("proxyjump") if first == "proxyjump" else ()
        if jump:
            return None, tuple(tokens.expand(hop, self.tokens) for hop in jump)
        return tokens.expand(self.value("proxycommand"), self.tokens) or None, ()


def _port(text: str, alias: str) -> int:
    try:
        return address.check_port(text)
    except ValueError as error:
        raise ConfigError(
            f"cannot resolve {alias}: ssh_config {error}: {text!r}",
            f"See what ssh makes of it: ssh -G {alias}",
        ) from error
