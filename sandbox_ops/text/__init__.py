"""Text to values and values to text. Pure: no clock, file, network or terminal.

A function here takes text and returns a value, or the other way round; a string tests it.

    remote_text                   the one exit of what a machine said: clean, redaction,
                                  token_shapes, secret_forms, key_lines, console
    formatting                    the words for values; file_words, command_words, stream_words,
                                  step_words and marks where text is all there is
    progress                      how far a training is: log_entries, log_formats, log_numbers,
                                  log_patterns, position, metrics, metrics_file, metric_history,
                                  best_metric, curves, crashes, log_warnings, stalls
    paging                        what of a log fits on a page: log_pages, log_cursor
    pipes  shell_state            what a command line means for its exit code and its shell
    address                       `user@host:port` and host patterns
    lenient  broken_json  argument_advice  prompt_text    what models send and read
"""
