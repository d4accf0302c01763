"""The only part that knows Fabric and paramiko, and what OpenSSH's files mean.

`connection.SandboxConnection` is a `fabric.Connection`, opened as OpenSSH opens one:
`resolve` and `openssh_config` find out how, `dial` reaches the port, `host_keys` (with
`known_hosts` and `certificates`) checks the machine, `login` (with `identities`, `agent`,
`key_files`) proves who we are. `channel` is one session on it, as a `Link`.

Nothing is imported here: Fabric costs 0.2 s, and not every command needs it.
"""
