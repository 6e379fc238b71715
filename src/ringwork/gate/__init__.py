"""Anti-scraping: what anybody may ask, and what anybody may learn."""
