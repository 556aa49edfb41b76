"""Jobs: rooms wired together. A request and an event callback in, a result or a handle out; nothing is printed."""
