"""The only part that knows Fabric and paramiko, and what OpenSSH's files mean.

`connection.SandboxConnection` is a `fabric.Connection`, opened as OpenSSH opens one:
`resolve` and `openssh_config` find out how (a `resolved_host`), `route` leads there (by
`dial`, `proxy` or jump hosts, over a `transport` with the allowed `algorithms`),
`host_keys` (with `known_hosts`, `host_key_check`, `revoked_keys`, `certificates`) checks
the machine, `login` (with `identities`, `agent`, `key_files`) proves who we are.
`session_setup` gives sessions what ssh_config says; `channel` is one as a `Link`.

Nothing is imported here: Fabric costs 0.2 s, and not every command needs it.
"""
