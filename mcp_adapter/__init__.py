"""The MCP face: five remote tools for AI agents, over the same library as the others.

Nothing here knows SSH, and nothing in `sandbox_ops` knows MCP. What goes where::

    __main__                     the command line
    stdio_server  http_server    a process: stdin and stdout, or HTTP on loopback
    messages                     each message is read, or answered with what is wrong
    protocol                     lists the tools, calls them
    tools  readers               the five tools: arguments, library, answer
    workflows                    the verbs as tools, off unless asked for
    catalog  workflow_catalog    the tools: their names, words and arguments
    tool_arguments               how arguments are read
    prompts                      the instructions; the guide's patterns, for people to start
    answers                      what goes back, and its exit (pure)
    calls                        next steps as calls of the tools
"""
