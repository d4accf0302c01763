"""`ssh -G` of the real client, read into one value; and what to do without it."""

import contextlib
import dataclasses
import os
import pwd
import subprocess
from pathlib import Path

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ConfigError
from sandbox_ops.ssh import config_fallback, openssh_config, tokens
from sandbox_ops.ssh.resolved_host import AllowedByConfig, ResolvedHost
from sandbox_ops.ssh.tokens import LocalUser
from sandbox_ops.text.address import Address

LOCAL = LocalUser(
    home="/home/me", name="me", uid=1000, hostname="laptop", environ={"KEYS": "/keys"}
)


def _local() -> LocalUser:
    return LocalUser(home=str(Path.home()), name="me", environ=dict(os.environ))


def _resolve(folder: Path, text: str, alias: str, **values: str | int) -> ResolvedHost:
    """Ask the real ssh client."""
    file = folder / "config"
    file.write_text(text)
    command = openssh_config.lookup_command(alias, config_file=str(file), **values)  # type: ignore[arg-type]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    return openssh_config.read(asked.stdout, alias, _local())


def test_a_proxy_command_in_an_included_file_is_found_and_expanded(
    tmp_path: Path,
) -> None:
    included = tmp_path / "sky" / "gpu1"
    included.parent.mkdir()
    included.write_text(
        "Host gpu1\n  HostName 10.0.0.9\n  Port 2222\n  User ubuntu\n"
        "  ProxyCommand nc -X connect %h %p # %r of %n at 100%%\n"
    )
    host = _resolve(tmp_path, f"Include {tmp_path}/sky/*\n", "gpu1")
    assert (host.hostname, host.port, host.user) == ("10.0.0.9", 2222, "ubuntu")
    assert host.proxy_command == (
        "nc -X connect 10.0.0.9 2222 # ubuntu of gpu1 at 100%"
    )
    assert host.proxy_jump == ()


def test_match_exec_sees_the_alias(tmp_path: Path) -> None:
    text = 'Match exec "test %n = gpu1"\n  HostName by-exec.example\n  User eve\n'
    host = _resolve(tmp_path, text, "gpu1")
    assert (host.hostname, host.user) == ("by-exec.example", "eve")
    assert _resolve(tmp_path, text, "gpu2").hostname == "gpu2"


def test_a_chain_of_jumps_comes_in_the_order_of_connecting(tmp_path: Path) -> None:
    text = "Host gpu1\n  HostName inner.example\n  ProxyJump me@one:22,ssh://two:33,gw-%h\n"
    host = _resolve(tmp_path, text, "gpu1")
    assert host.proxy_command is None
    assert host.proxy_jump == ("me@one:22", "ssh://two:33", "gw-inner.example")
    assert host.hops == (
        Address(host="one", user="me", port=22),
        Address(host="two", port=33),
        Address(host="gw-inner.example"),
    )


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ProxyCommand none\nProxyCommand nc\n", None),
        ("ProxyCommand none\nProxyJump a\n", None),
        ("ProxyJump none\nProxyJump a\n", None),
        ("ProxyJump none\nProxyCommand nc\n", "nc"),
    ],
)
def test_none_switches_a_proxy_off(
    text: str, command: str | None, tmp_path: Path
) -> None:
    host = _resolve(tmp_path, text, "gpu1")
    assert (host.proxy_command, host.proxy_jump) == (command, ())
    assert _fallback(text, "gpu1").proxy_command == command


def test_keys_files_and_names_are_expanded_as_ssh_expands_them(tmp_path: Path) -> None:
    text = (
        'Host gpu1\n  IdentityFile "~/.ssh/a key"\n  IdentityFile ${HOME}/%n_%r\n'
        "  IdentityFile %d/k\n  CertificateFile ~/.ssh/cert.pub\n  IdentitiesOnly yes\n"
        "  HostKeyAlias box\n  IdentityAgent ~/agent.sock\n  ConnectTimeout 7\n"
        '  UserKnownHostsFile "~/my known" ~/%k_hosts\n  ForwardAgent yes\n'
        '  GlobalKnownHostsFile /etc/a "/etc/b c"\n  HashKnownHosts yes\n'
        "  HostKeyAlgorithms ssh-ed25519,rsa-sha2-512\n  User root\n"
        "  AddressFamily inet6\n  KnownHostsCommand /bin/true\n"
    )
    home = Path.home()
    result = _resolve(tmp_path, text, "gpu1")
    assert result.algorithms.host_keys == ("ssh-ed25519", "rsa-sha2-512")
    assert dataclasses.replace(result, algorithms=AllowedByConfig()) == ResolvedHost(
        alias="gpu1",
        hostname="gpu1",
        port=22,
        user="root",
        identity_files=(
            f"{home}/.ssh/a key",
            f"{home}/gpu1_root",
            f"{home}/k",
        ),
        certificate_files=(f"{home}/.ssh/cert.pub",),
        identities_only=True,
        host_key_alias="box",
        user_known_hosts_files=(_users_home("my known"), _users_home("box_hosts")),
        global_known_hosts_files=("/etc/a", "/etc/b c"),
        connect_timeout_s=7.0,
        forward_agent=_users_home("agent.sock"),
        identity_agent=_users_home("agent.sock"),
        address_family="inet6",
        required_rsa_bits=1024,
        hash_known_hosts=True,
        not_honoured=("KnownHostsCommand",),
    )


def _users_home(name: str) -> str:
    """A path that ssh itself expanded: it asks the user database, not $HOME."""
    return f"{pwd.getpwuid(os.getuid()).pw_dir}/{name}"


def test_files_that_are_switched_off_are_none(tmp_path: Path) -> None:
    text = (
        "Host gpu1\n  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n"
        "  IdentityFile none\n  CertificateFile none\n  IdentityAgent none\n"
    )
    host = _resolve(tmp_path, text, "gpu1")
    assert host.user_known_hosts_files == host.global_known_hosts_files == ()
    assert host.identity_files == host.certificate_files == ()
    assert host.identity_agent == "none"


def test_overrides_win_over_the_file_and_are_seen_by_its_tokens(tmp_path: Path) -> None:
    text = "Host gpu1\n  Port 22\n  User root\n  ProxyCommand nc %h %p %r\n"
    host = _resolve(
        tmp_path, text, "gpu1", port=2222, user="me", identity_file="/keys/a b"
    )
    assert (host.port, host.user) == (2222, "me")
    assert host.identity_files[0] != "/keys/a b"  # ssh passes over a missing file
    assert host.proxy_command == "nc gpu1 2222 me"


def test_the_lookup_command_has_the_host_behind_all_options() -> None:
    assert openssh_config.lookup_command(
        "gpu1", port=22, user="me", identity_file="/k", config_file="/c"
    ) == (
        *("ssh", "-G", "-T", "-F", "/c", "-p", "22", "-l", "me", "-i", "/k"),
        *("--", "gpu1"),
    )


def test_a_host_that_is_an_option_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        openssh_config.lookup_command("-oProxyCommand=touch /tmp/x")
    assert str(refused.value) == (
        "cannot reach '-oProxyCommand=touch /tmp/x': it has a host that begins with "
        '"-"\nName an ssh_config alias, a host or an IP address.'
    )
    with pytest.raises(ConfigError, match="has \\$ in its user"):
        openssh_config.lookup_command("gpu1", user="$(id)")


def test_what_is_not_an_answer_of_ssh_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        openssh_config.read("hostname gpu1\n", "gpu1", LOCAL)
    assert str(refused.value) == (
        "cannot resolve gpu1: `ssh -G` named no host name, port and user\n"
        "Run it by hand: ssh -G gpu1"
    )


def test_a_jump_that_is_not_an_address_is_refused_by_name() -> None:
    host = openssh_config.read(
        "hostname a\nuser b\nport 22\nproxyjump c,$(d)\n", "gpu1", LOCAL
    )
    with pytest.raises(ConfigError) as refused:
        _ = host.hops
    assert refused.value.message == (
        "ssh_config: ProxyJump 'c,$(d)' of gpu1 has $ in its host: expected "
        "[user@]host[:port], several with commas"
    )


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        openssh_config.read(f"hostname a\nuser b\nport 22\n{text}", "gpu1", LOCAL)


@given(st.text())
def test_any_value_of_a_directive_is_read_or_refused(value: str) -> None:
    keywords = ("proxycommand", "proxyjump", "identityfile", "userknownhostsfile")
    lines = "\n".join(f"{keyword} {value}" for keyword in keywords)
    with contextlib.suppress(ConfigError):
        _ = openssh_config.read(
            f"hostname a\nuser b\nport 22\n{lines}", "a", LOCAL
        ).hops


def test_unknown_tokens_and_unset_variables_stay_to_be_seen() -> None:
    expand = tokens.expand_path
    assert expand("~/%h_%C", {"h": "gpu1"}, LOCAL) == "/home/me/gpu1_%C"
    assert expand("${KEYS}/${NOPE}/~", {}, LOCAL) == "/keys/${NOPE}/~"
    assert expand("%d/%u/%i/%L/100%%", LOCAL.tokens, LOCAL) == (
        "/home/me/me/1000/laptop/100%"
    )


def test_files_are_distinguished_where_ssh_prints_them_without_quotes() -> None:
    split = tokens.split_files
    assert split("/home/me/my known /etc/b") == ("/home/me/my known", "/etc/b")
    assert split("known other") == ("known", "other")
    assert split('"/a b" /c') == ("/a b", "/c")
    assert split('"/a b') == ()


def _fallback(text: str, alias: str) -> ResolvedHost:
    """Ask paramiko's parser, as we do where there is no ssh client."""
    result = paramiko.SSHConfig.from_text(text).lookup(alias)
    return openssh_config.from_options(result, alias, LOCAL)


def test_without_an_ssh_client_paramikos_answer_becomes_the_same_value(
    tmp_path: Path,
) -> None:
    text = (
        "Host gpu1\n  HostName 10.0.0.9\n  Port 2222\n  User root\n"
        "  IdentityFile /keys/a\n  IdentitiesOnly yes\n  HostKeyAlias box\n"
        "  UserKnownHostsFile /keys/known /keys/other\n  ConnectTimeout 7\n"
        "  GlobalKnownHostsFile /etc/known\n  ProxyCommand nc %h %p %r %n\n"
        "  HostKeyAlgorithms ssh-ed25519\n  HashKnownHosts yes\n"
        '  SetEnv A=1 "B=two words"\n  SendEnv LC_*\n  RevokedHostKeys /revoked\n'
    )
    ours, theirs = _fallback(text, "gpu1"), _resolve(tmp_path, text, "gpu1")
    assert ours.algorithms.host_keys == theirs.algorithms.host_keys
    without = AllowedByConfig()  # ssh prints its own defaults, paramiko knows none
    assert dataclasses.replace(ours, algorithms=without) == dataclasses.replace(
        theirs, algorithms=without
    )


def test_without_an_ssh_client_the_defaults_are_those_of_ssh(tmp_path: Path) -> None:
    host = _fallback("", "gpu1")
    asked = _resolve(tmp_path, "", "gpu1")
    assert (host.hostname, host.port, host.user) == ("gpu1", 22, "me")
    assert host.global_known_hosts_files == asked.global_known_hosts_files
    assert host.user_known_hosts_files == (
        "/home/me/.ssh/known_hosts",
        "/home/me/.ssh/known_hosts2",
    )


@pytest.mark.parametrize(
    ("text", "command", "jump"),
    [
        ("ProxyCommand nc\nProxyJump a\n", "nc", ()),
        ("ProxyJump a,b\nProxyCommand nc\n", None, ("a", "b")),
    ],
)
def test_without_an_ssh_client_the_first_proxy_holds(
    text: str, command: str | None, jump: tuple[str, ...]
) -> None:
    host = _fallback(text, "gpu1")
    assert (host.proxy_command, host.proxy_jump) == (command, jump)


def test_the_fallback_names_what_paramiko_passes_over() -> None:
    text = (
        "# Include in a comment\nInclude ~/.sky/*\n"
        "Match localnetwork 10.0.0.0/8 exec true\n  Port 9\n"
        "Match host=a user b !final tagged x\n"
        "Host other\n  KnownHostsCommand /x\n"
        "Host g* !gpu2\n  KnownHostsCommand=/x\n  ProxyUseFdpass no\n"
        "  ProxyCommand nc %%h\n  RevokedHostKeys /revoked\n"
        "Match final all\n"
    )
    assert config_fallback.warnings_for_fallback(text, "gpu1") == (
        "line 2: `Include ~/.sky/*`: the file is not read",
        (
            "line 3: `Match localnetwork 10.0.0.0/8 exec true`: taken as if localnetwork "
            "matched"
        ),
        "line 5: `Match host=a user b !final tagged x`: taken as if tagged matched",
        "line 9: `KnownHostsCommand=/x`: not carried out",
        "line 11: `ProxyCommand nc %%h`: %% is not expanded",
    )
    assert not [
        warning
        for warning in config_fallback.warnings_for_fallback(text, "gpu2")
        if "KnownHostsCommand" in warning
    ]


@given(st.text() | st.text().map(lambda text: f"Match {text}\nInclude {text}"))
def test_any_text_can_be_warned_of(text: str) -> None:
    for warning in config_fallback.warnings_for_fallback(text, "gpu1"):
        assert warning.startswith("line ")
