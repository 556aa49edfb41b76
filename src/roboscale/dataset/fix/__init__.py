"""Mending datasets: after a kill (`repair`), where metadata lie (`plan`, of which `undo` carries out what it says).

A view of the one reader in `lerobot/`: it believes the rows and the videos, and lets the metadata follow them.
"""
