"""The resident-shell protocol: requests to a `sh` on the machine, and its replies.

`pool` keeps a few `worker`s on one connection, each a link to a `sh` that runs
`scripts/`; `frames` cuts what comes back into segments, `job_replies` and
`script_replies` read them. `start_request` is what a start sends; `follower` polls for
all that somebody waits for, and `stream` says which bytes to ask for next.
"""
