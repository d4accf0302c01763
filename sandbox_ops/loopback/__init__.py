"""Serving HTTP to this computer alone, for who has the token.

A shell on somebody's machine behind a port is what every web page one opens would like
to talk to. So: loopback addresses only, a token before anything is read, and little that
a connection can hold before it has shown one. Imports uvicorn, which comes with `mcp`.
"""
