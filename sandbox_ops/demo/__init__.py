"""The demo: the whole product on this machine, with nothing to install or own.

`story` tells it, `embedded` and `server` are the machine it happens on, `project/` the
code that is trained there, `curve` draws what came home.
"""
