"""One file per thing a user asks for: where rooms that do not know each other meet."""
