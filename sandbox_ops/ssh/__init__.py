"""The only part that knows Fabric and paramiko, and what OpenSSH's files mean.

`connection.SandboxConnection` is a `fabric.Connection`, opened as OpenSSH opens one. Nothing
is imported here: Fabric costs 0.2 s, and not every command needs it.

    resolve  openssh_config       how a machine is reached: resolved_host, tokens,
                                  config_fallback, deciding_files
    early_start                   takes the first steps while paramiko is imported
    route                         leads there: dial, proxy, jump_hosts, transport, algorithms
    host_keys                     checks the machine: known_hosts, host_key_check, shown_keys,
                                  revoked_keys, certificates
    login                         proves who we are: identities, agent, key_files, askpass
    channel  worker_links         a session as a `Link`: session_setup, session_environment,
                                  budget (a time that steps share), sftp, forwarding
    probe  failures               whether it still answers; what an error of paramiko's means
    fabric_verbs  runner          what users' own Fabric tasks get
    connection_agent              the process that keeps a connection: kept_connection
    openssh_links                 the same over the user's own ssh: openssh_master,
                                  openssh_program, openssh_sessions, openssh_failures
"""
