"""The goals of the ad core."""
