"""Where a handheld camera was, from its own video: a map of its pictures or printed tags alone, in metres."""
