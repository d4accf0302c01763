"""The resident-shell protocol: requests to a `sh` on the machine, and its replies.

`pool` keeps a few `worker`s over `links`, each a link to a `sh` that runs `scripts/`;
`requests` says how long a request is tried, `second_look` why a shell says nothing.
`frames` cuts what comes back into segments, `job_replies` and `script_replies` read them.
`start_request` is what a start sends, `job_query` what is asked of a job; `follower` polls
for all that somebody waits for, and `stream` says which bytes to ask for next.
"""
