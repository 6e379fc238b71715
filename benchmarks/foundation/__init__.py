"""The goals of the foundation."""
