"""What the command line is made of; its verbs are `sandbox_ops/tasks.py`.

Reads arguments, calls the library, shows what came back. Nothing here decides anything.
"""
