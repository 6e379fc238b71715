"""Housing, employment and credit ads: their rules, their detection, what targeting tells."""
