"""Where action data comes from; one room per approach."""
