"""Forms for what the management API takes: members, what was typed, and what is wrong with it."""
