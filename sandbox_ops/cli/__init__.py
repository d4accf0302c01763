"""What the command line is made of; its verbs are `sandbox_ops/tasks.py` and `*_tasks.py`.

Reads arguments, calls the library, shows what came back. Nothing here decides anything.

    program                       the program; argv, grammar, near_verbs and option_help read
                                  and explain a command line, completion (completion_lookup)
                                  completes one; lean_invoke, interrupts
    face                          a verb: how it is declared, answers and fails; output writes
    session                       the machine that a verb works on, opened: fabric_context,
                                  shared_connection
    fleet  aiming  several        the same verb on several machines; which ones a job names
    *_options  *_values           the values of options
    training  node_training       how `train` starts what was asked for (train_wish)
    following live_output logtail merged_logs watching waking tunneling    what comes as it comes
    views  *_views  dashboard     what people read: layout, terminal, chart, encoding
    next_steps  notifying         next steps as people type them; who is notified
    own_machines                  the user's own list of machines, changed
    installing plugin_folder mcp_*    our MCP server at an agent host: entry_edit, jsonc,
                                  replacing, allow_rules
"""
