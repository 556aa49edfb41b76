"""What captures without a robot have in common: poses with their error, episodes cut from them, gates, a card.

`handheld` and `human` read what was recorded; this part makes a `Recording` of it, which the one pipe writes.
"""
