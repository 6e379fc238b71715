"""Housing, employment and credit ads that reach who was eligible: measure, steer, prove.

The race of a person is never known here, only estimated from name and area, and an estimate blurs:
measured with it, a difference between groups looks smaller than it is. So a figure of an estimated
attribute is never one number but always ``model.Proxied``: what the proxy shows, and what remains
when its blur is taken out, with an interval.
"""
