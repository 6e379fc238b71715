"""Names as people write them -> rows of a name table, once per distinct string."""
