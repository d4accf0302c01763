"""The verbs, a file each, and what they have in common.

A verb (`sync.py`) is a function of a sandbox and a project that returns a report: a frozen
value with `ok`, and `as_json()` for programs. What it is made of begins with its name
(`sync_target`, `sync_refusals`); rules that a text can test are modules of their own.

    setup sync reset fetch put    one machine's clone and files: fetch_*, put_*, file_choice,
                                  moved_files, outputs, ssh_sync, push_results,
                                  transfer_progress
    train                         one training: template, attempt_holes, torchrun, preflight,
                                  preparation, train_objections, queueing, record, run_files,
                                  own_tree, first_second
    rerun                         the same again: run_again; over several machines: rerun_nodes
    sweep                         many trainings: sweep_*, group_* and group_jobs
    placement                     which of several machines takes one: candidates
    spread                        a sweep over several machines: spread_*, hand_out, serving,
                                  listed_cells, sweep_list
    nodes                         one training over several machines: node_start, nodes_list,
                                  nodes_lines; on a cluster slurm_nodes, slurm_room
    monitor stop events           what runs there: job_progress, monitored, idle, notify*,
                                  event_*, wait_reasons, waiting_times, on_idle
    runs show diff plot export    what was trained: run_*, label_run, history_lines, picture
    doctor sandboxes tunnel       the machines themselves: doctor_*, tensorboard
    acting                        each verb asks the machine's mode, and is noted
    fleet fleet_totals            the same on several machines at once
    rows run_rows report_lines    reports as a face lays them out: rows, or lines of text
    train_call train_call_one job_answers    what an agent asks for in one call
"""
