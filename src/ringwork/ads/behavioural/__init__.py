"""What a consenting person did, for the ads that the person sees: the only reader of history.

Nothing else of the part imports this package (a contract says so): the contextual path gets from it
nothing but a page's audiences, which stay empty without a grant.
"""

from ringwork.ads.behavioural.service import Behaviour, PersonalAsk
from ringwork.ads.behavioural.told import PeopleTold

__all__ = ["Behaviour", "PeopleTold", "PersonalAsk"]
