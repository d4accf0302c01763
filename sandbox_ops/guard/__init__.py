"""What may be done, and the note of it.

`acts` is the gate that every act passes, `audit` the log of them, `user_folders` where this
user's own files are. The table of what each act changes is a value: `models/policy.py`.
"""
