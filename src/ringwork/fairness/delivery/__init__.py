"""From auctions and impressions to releases, figures, control and shifts: fairness at work."""
