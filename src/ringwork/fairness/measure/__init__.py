"""From impressions to figures: sums of groups, their noise, and what may be said of them."""
