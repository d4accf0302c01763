"""The MCP face: three remote tools for AI agents, over the same library as the others.

What goes where::

    __main__                     the command line
    serving                      a process: stdin and stdout, signals, the end
    over_http  token             the same over HTTP, on loopback, for who has the token
    server                       the protocol: lists the tools, calls them
    tools  readers               the three tools: arguments, library, answer
    workflows  reports           the verbs as tools, off unless asked for
    workflow_catalog  next_calls
    prompts                      the guide's patterns, for people to start
    waiting  machines            waiting without a thread; the configured sandboxes
    catalog  arguments           what the tools are called and take
    answers  streams  log_pages  values of the library as text for a model (pure)
    file_pages  cursor  marks
    pipes

Nothing here knows SSH, and nothing in `sandbox_ops` knows MCP.
"""
