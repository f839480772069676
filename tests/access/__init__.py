"""Who may do what: the table, and the walk through it."""
