"""How a machine is reached, as ssh_config says: the value, without how it was found. Pure."""

from dataclasses import dataclass

from sandbox_ops.errors import ConfigError
from sandbox_ops.text import address

# Directives that change what happens on the wire and that we do not carry out.
NOT_HONOURED = {
    "bindinterface": "BindInterface",
    "knownhostscommand": "KnownHostsCommand",
    "pkcs11provider": "PKCS11Provider",
    "proxyusefdpass": "ProxyUseFdpass",
    "remotecommand": "RemoteCommand",
}
OFF = frozenset({"", "none", "no", "false"})
"""The values by which a directive is switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedByConfig:
    """Names of algorithms, each kind in order of preference; empty: the client's own.

    Attributes:
        kex: KexAlgorithms.
        host_keys: HostKeyAlgorithms.
        ciphers: Ciphers.
        macs: MACs.
        user_keys: PubkeyAcceptedAlgorithms.
    """

    kex: tuple[str, ...] = ()
    host_keys: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    user_keys: tuple[str, ...] = ()


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
        forward_agent: Where the agent listens that processes there may use, as
            `identity_agent` says it; None: none.
        set_env: Variables for every session there.
        send_env: Patterns of names of our own variables to send along.
        identity_agent: The agent's socket; "none": no agent; "" or "SSH_AUTH_SOCK":
            the one that the environment names.
        address_family: "any", "inet" or "inet6".
        algorithms: What the directives about algorithms allow.
        required_rsa_bits: RSA keys that are shorter count for nothing, here and there.
        revoked_host_keys_files: Hold keys that no machine may show.
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
    forward_agent: str | None = None
    set_env: tuple[tuple[str, str], ...] = ()
    send_env: tuple[str, ...] = ()
    identity_agent: str = ""
    address_family: str = "any"
    bind_address: str = ""
    algorithms: AllowedByConfig = AllowedByConfig()
    required_rsa_bits: int = 0
    revoked_host_keys_files: tuple[str, ...] = ()
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
