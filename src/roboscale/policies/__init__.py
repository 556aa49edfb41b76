"""What chooses actions: built in, a user's function, a recording, or a server somewhere else.

Importing this package imports numpy only; sockets and torch come with the module that needs them.
"""
