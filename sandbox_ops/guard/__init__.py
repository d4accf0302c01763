"""What may be done, the note of it, and who may ask over HTTP.

`acts` is the gate that every act passes, `audit` the log of them, `this_user` who acts,
`user_folders` where this user's own files are. The table of what each act changes is a value: `models/policy.py`.
`http_serving` serves this computer alone, to clients with the `bearer_token`.
"""
