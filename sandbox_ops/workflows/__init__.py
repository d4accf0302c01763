"""The verbs: setup, sync, train, monitor, reset, fetch, doctor. One file a verb.

Each is a function of a sandbox and a project that returns a report: a frozen value with
`ok`, and `as_json()` for programs.
"""
