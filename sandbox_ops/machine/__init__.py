"""The nouns of a sandbox: send, refuse, parse, return. One file a noun.

A noun is a module of functions of a `Sandbox`; none knows a verb, or what a face shows.

    sandbox  sandboxes            the door: one machine; all that are configured, each opened once
    jobs                          what runs there: job_list, attempts, queue, changes,
                                  groups (group_replies)
    logs                          what jobs wrote: log_reading, log_watch, first_lines, places
    waiting                       until a job ends or says something: wait_call, job_watch
    files  listing                reading there
    transfer  upload              bytes home and there: transfer_session, upload_batches,
                                  put_places, resuming, pace
    repo  environment             the project's clone, and what its programs run in; leases
    gpus  readings                the machine itself
    run_records run_outputs run_curves    what trainings were, wrote and measured
    trust  shell  tunnels         host keys, terminals, ports (local_ports)
    chosen_links  ssh_session     how the machine is reached, and what a session there has
    own_scripts                   runs `remote/scripts/NAME.sh`, and reads its answer
    async_calls async_commands timers pause    waiting without a thread, or with a bound
    safe_log                      the log of a server of ours
"""
