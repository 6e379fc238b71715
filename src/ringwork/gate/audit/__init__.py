"""What of an interface invites scraping, and the evidence of what was done against it."""
