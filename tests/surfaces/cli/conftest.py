"""The machine of most tests of the verbs is reached without ssh."""

from without_ssh import machine, make_machine, sandbox, shared_sandbox

__all__ = ["machine", "make_machine", "sandbox", "shared_sandbox"]
