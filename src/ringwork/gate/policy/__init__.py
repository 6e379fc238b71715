"""The policy: limits, prices, exemptions and answers, as data."""
