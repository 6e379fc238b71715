"""The choice page: subscribe, personalised ads or less personalised ads, side by side.

What is shown is drawn, logged and hashed; what is chosen goes to the consent ledger like any other
decision. It works without scripts and without cookies: a person is who a publisher's page or server
says, by a random id that is its own key, or by a link that the server had sealed.
"""
