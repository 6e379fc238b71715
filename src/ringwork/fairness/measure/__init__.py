"""From impressions to figures: sums of groups, their noise, and what may be said of them."""
"""From noisy sums to figures: ratios, variance, the blur taken out with an interval, coverage."""
