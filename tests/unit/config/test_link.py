"""`link`: what carries our bytes, as the user's configuration says it."""

import pytest

from sandbox_ops import config
from sandbox_ops.errors import ConfigError
from sandbox_ops.links.process import leading_to_a_shell
from sandbox_ops.machine.shell import with_terminal
from sandbox_ops.models import SandboxConfig


def link_of(text: str, **variables: str) -> SandboxConfig:
    """Return the sandbox `a` of the user's own file, with those variables."""
    layer = config.from_toml(config.Source(name="config.toml", text=text))
    return config.combine(
        (layer,),
        variables=config.from_environment(variables, ssh_names=False),
        source="config.toml",
        searched="",
    ).sandbox("a")


def test_a_link_is_a_name_or_the_words_of_a_command() -> None:
    assert link_of('[sandboxes.a]\nhost = "h"').link == "fabric"
    assert link_of('[sandboxes.a]\nhost = "h"\nlink = "openssh"').link == "openssh"
    command = '[sandboxes.a]\nlink = { command = ["docker", "exec", "-i", "n", "sh"] }'
    assert link_of(command).link == ("docker", "exec", "-i", "n", "sh")


def test_neither_this_computer_nor_a_command_needs_a_host() -> None:
    assert link_of('[sandboxes.a]\nlink = "local"').host == "a"
    with pytest.raises(ConfigError, match=r"sandboxes\.a\.host` is missing"):
        link_of('[sandboxes.a]\nlink = "openssh"')


def test_a_variable_says_a_link_as_a_command_line() -> None:
    host = '[sandboxes.a]\nhost = "h"'
    assert link_of(host, SANDBOX_OPS_LINK="local").link == "local"
    words = ("sudo", "-u", "me too", "sh")
    assert link_of(host, SANDBOX_OPS_LINK="sudo -u 'me too' sh").link == words


@pytest.mark.parametrize(
    "value",
    ['"carrier-pigeon"', "{}", "{ command = [] }", '{ command = ["-x", "sh"] }',
     '{ command = "sh" }', "{ command = [1] }", '{ command = ["sh"], more = 1 }', "3"],
)  # fmt: skip
def test_another_link_is_refused_with_what_it_may_be(value: str) -> None:
    with pytest.raises(
        ConfigError, match=r"link` is .*expected fabric, openssh, local"
    ):
        link_of(f'[sandboxes.a]\nhost = "h"\nlink = {value}')


def test_a_project_may_not_say_what_runs_on_this_computer() -> None:
    source = config.Source(
        name="sandbox.toml",
        project="/p",
        text='[sandboxes.a]\nlink = { command = ["touch", "x"] }',
    )
    with pytest.raises(ConfigError, match="not for a project to say"):
        config.from_toml(source)


def test_a_shell_at_the_end_is_given_the_command_line() -> None:
    assert leading_to_a_shell(("docker", "exec", "-i", "n", "/bin/bash"))[-1] == "-c"
    assert leading_to_a_shell(("gh", "codespace", "ssh")) == ("gh", "codespace", "ssh")


def test_a_terminal_in_a_container_is_one() -> None:
    words = ("/usr/bin/docker", "exec", "-i", "n", "sh")
    assert with_terminal(words) == ("/usr/bin/docker", "exec", "-i", "-t", "n", "sh")
    assert with_terminal(("sudo", "-i", "sh")) == ("sudo", "-i", "sh")
