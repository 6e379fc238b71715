"""Where a request comes from, no finer than a country's subdivision, by a port.

``Locate`` is what the platform needs; ``app.geo_file`` answers it from a MaxMind-DB file. The rules
here read one record of such a file in the layout that its publishers share (``country.iso_code``,
``subdivisions[0].iso_code``): city, postcode, coordinates and network are not even looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ringwork.ads.model import Region

Locate = Callable[[str], "Region | None"]
"""An IP address as text -> its region, None where it is not known. The address is not kept."""

# ISO 3166-1: alpha-2 and alpha-3 of each officially assigned code, and Kosovo's user-assigned one,
# which address databases use (XK; XKX in the CLDR).
_CODES: Final = """
ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE
BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS
BTBTN BVBVT BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN
COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST
EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF
GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD
HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM
JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA
LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD
MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM
NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG
PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA
SASAU SBSLB SCSYC SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD
STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON
TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR
VNVNM VUVUT WFWLF WSWSM XKXKX YEYEM YTMYT ZAZAF ZMZMB ZWZWE
"""
COUNTRIES: Final = {pair[:2]: pair[2:] for pair in _CODES.split()}
"""Alpha-2 -> alpha-3."""

_SUBDIVISION: Final = re.compile(r"[A-Z0-9]{1,3}")


def region_of(record: object) -> Region | None:
    """The region of a file's record; None for one without a country, or of another layout.

    >>> region_of({"country": {"iso_code": "PT"}, "subdivisions": [{"iso_code": "11"}]})
    'PRT-11'
    """
    if not isinstance(record, dict):
        return None
    country = COUNTRIES.get(_code(record.get("country")))
    if country is None:
        return None
    subdivisions = record.get("subdivisions")
    largest = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    code = _code(largest)
    return f"{country}-{code}" if _SUBDIVISION.fullmatch(code) else country


def _code(place: object) -> str:
    """The ISO code of a record's country or subdivision."""
    code = place.get("iso_code") if isinstance(place, dict) else None
    return code if isinstance(code, str) else ""
