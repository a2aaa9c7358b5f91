"""Numbers for the commands, without a word of prose."""
