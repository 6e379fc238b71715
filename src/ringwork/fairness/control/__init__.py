"""Controllers of delivery: from what a release says to how an ad's bids shift."""
