"""From all live ads to the best few that nothing excludes, exactly, whatever their number.

``dimensions`` says what an ad names and what a request asks; ``columns`` keeps the live ads;
``segment`` lays them out as bitmaps, best first; ``scan`` finds the best of a request and stops
where no later ad could be among them. ``ringwork.ads.index`` puts them together.
"""
