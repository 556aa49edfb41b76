"""What runs inside a guest, in a stranger's environment: numpy, msgpack, `roboscale.wire` and itself, Python 3.8.

Nothing else of roboscale is there. What a module of this folder needs from the stranger's package it imports itself.
"""
