"""Ads: one auction over a catalogue with exact budgets, and the bills of what was shown.

``auction`` clears one slot and may be used alone; ``service.Ads`` serves and bills,
``management.Management`` changes the catalogue, ``openrtb`` speaks to exchanges.
"""
