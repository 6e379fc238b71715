"""From noisy sums to figures: ratios, variance, the blur taken out with an interval, coverage."""
