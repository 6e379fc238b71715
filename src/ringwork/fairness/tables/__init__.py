"""Census tables: names by group, adults by area and group; built from public sources, verified."""
