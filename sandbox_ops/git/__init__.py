"""git on this machine, and what git says on either: read, explained, never a prompt."""
