"""The MCP face: three remote tools for AI agents, over the same library as the others.

What goes where::

    __main__                     the command line
    serving                      a process: stdin and stdout, signals, the end
    server                       the protocol: lists the tools, calls them
    tools  readers               the three tools: arguments, library, answer
    waiting  machines            waiting without a thread; the configured sandboxes
    catalog  arguments           what the tools are called and take
    answers  streams  log_pages  values of the library as text for a model (pure)
    file_pages  cursor  marks
    pipes

Nothing here knows SSH, and nothing in `sandbox_ops` knows MCP.
"""
