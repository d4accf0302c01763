"""The nouns of a sandbox: send, refuse, parse, return. One file a noun."""
