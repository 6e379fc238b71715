"""ads.txt: what a file declares, what it does not, and that what is written is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.supply.ads_txt import (
    FAULTS_MAX,
    LINE_MAX_CHARS,
    LINES_MAX,
    AdsTxt,
    Manager,
    Record,
    parse,
    write,
)

# Written by hand after the format of ads.txt 1.1: comments, case, white space, variables, an
# extension, a subdomain, and lines that say nothing.
FILE = """\ufeff# ads.txt of news.example
OWNERDOMAIN=Holding.example
MANAGERDOMAIN=sales.example
managerdomain = sales-pt.example, pt
CONTACT=adops@news.example
contact=https://news.example/contact
SUBDOMAIN=sport.news.example
INVENTORYPARTNERDOMAIN=partner.example

GreenAdExchange.example, 12345, DIRECT, d75815a79
silverssp.example, 9675, RESELLER, f496211  # through a reseller
\tblueadexchange.example ,XF436, direct ; extension=1
FUTUREVARIABLE=anything
"""


def test_a_file_by_hand() -> None:
    found, wrong = parse(FILE.replace("\n", "\r\n"))
    assert wrong == []
    assert found == AdsTxt(
        records=(
            Record("greenadexchange.example", "12345", "DIRECT", "d75815a79"),
            Record("silverssp.example", "9675", "RESELLER", "f496211"),
            Record("blueadexchange.example", "XF436", "DIRECT"),
        ),
        owner="holding.example",
        managers=(Manager("sales.example"), Manager("sales-pt.example", "PT")),
        contacts=("adops@news.example", "https://news.example/contact"),
        subdomains=("sport.news.example",),
        inventory_partners=("partner.example",),
    )
    assert found.authorises("SilverSSP.example", "9675") == "RESELLER"
    assert found.authorises("silverssp.example", "9676") is None
    assert found.authorises("blueadexchange.example", "xf436") is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("greenadexchange.example 12345 DIRECT", "3 or 4 values"),
        ("greenadexchange.example, 12345", "3 or 4 values"),
        ("a.example, 1, DIRECT, tag, more", "3 or 4 values"),
        ("a.example, 1, OWNER", "DIRECT or RESELLER"),
        ("a.example, , DIRECT", "an account second"),
        ("a.example, 1 2, DIRECT", "an account second"),
        (", 1, DIRECT", "a domain first"),
        ("https://a.example/, 1, DIRECT", "a domain first"),
        ("a.example, 1, DIRECT, two words", "certification authority"),
        ("<html><body>Not found</body></html>", "values"),
        ("OWNERDOMAIN=", "a value"),
        ("OWNERDOMAIN=https://news.example", "a domain in OWNERDOMAIN"),
        ("MANAGERDOMAIN=a.example, PRT", "two letters"),
        ("MANAGERDOMAIN=not a domain", "a domain in MANAGERDOMAIN"),
        ("SUBDOMAIN=no domain", "a domain in SUBDOMAIN"),
        ("a.example, " + "1" * LINE_MAX_CHARS + ", DIRECT", "characters"),
    ],
)
def test_a_line_that_cannot_be_read_authorises_nobody_and_is_named(line, problem) -> None:
    found, wrong = parse(f"ok.example, 1, DIRECT\n{line}\nok.example, 2, RESELLER")
    assert [one.account for one in found.records] == ["1", "2"]
    assert [one.number for one in wrong] == [2]
    assert problem in wrong[0].problem


def test_of_what_may_stand_once_the_first_counts() -> None:
    found, wrong = parse(
        "OWNERDOMAIN=a.example\nOWNERDOMAIN=b.example\nMANAGERDOMAIN=c.example\n"
        "MANAGERDOMAIN=d.example\nMANAGERDOMAIN=e.example,DE\nMANAGERDOMAIN=f.example,de"
    )
    assert found.owner == "a.example"
    assert found.managers == (Manager("c.example"), Manager("e.example", "DE"))
    assert [one.number for one in wrong] == [2, 4, 6]


def test_a_record_that_is_repeated_is_one() -> None:
    assert len(parse("a.example, 1, DIRECT\nA.example,1,direct")[0].records) == 1


def test_a_file_that_authorises_nobody_says_so() -> None:
    text = write(AdsTxt())
    assert text == "placeholder.example.com, placeholder, DIRECT, placeholder\n"
    assert parse(text) == (AdsTxt(), [])


def test_a_file_as_it_is_written() -> None:
    file = AdsTxt(
        records=(Record("ads.example", "pub", "DIRECT", "tag"), Record("b.example", "2", "RESELLER")),
        owner="news.example", managers=(Manager("m.example", "PT"),), contacts=("a@news.example",),
    )  # fmt: skip
    assert write(file, comment="for news.example") == (
        "# for news.example\nOWNERDOMAIN=news.example\nMANAGERDOMAIN=m.example,PT\n"
        "CONTACT=a@news.example\nads.example, pub, DIRECT, tag\nb.example, 2, RESELLER\n"
    )


@pytest.mark.parametrize(
    "file",
    [
        AdsTxt(records=(Record("ads.example", "a,b", "DIRECT"),)),
        AdsTxt(records=(Record("ADS.example", "1", "DIRECT"),)),
        AdsTxt(owner="not a domain"),
        AdsTxt(contacts=("line\nbreak, 1, DIRECT",)),
        AdsTxt(contacts=("hash # sign",)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(file) -> None:
    with pytest.raises(ValueError, match="can hold"):
        write(file)


def test_size_is_bounded() -> None:
    found, wrong = parse("x\n" * (LINES_MAX + 10))
    assert len(wrong) == FAULTS_MAX
    assert found == AdsTxt()
    assert len(parse("\n" * LINES_MAX + "a.example, 1, DIRECT")[0].records) == 0


DOMAINS = st.from_regex(r"[a-z]{1,5}\.example", fullmatch=True)
IDS = st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True)
FILES = st.builds(
    AdsTxt,
    records=st.lists(
        st.builds(Record, DOMAINS, IDS, st.sampled_from(["DIRECT", "RESELLER"]), st.just("") | IDS),
        unique=True, max_size=4,
    ).map(tuple),
    owner=st.just("") | DOMAINS,
    managers=st.lists(
        st.builds(Manager, DOMAINS, st.sampled_from(["", "PT", "DE"])), max_size=3,
        unique_by=lambda one: one.country,
    ).map(tuple),
    subdomains=st.lists(DOMAINS, unique=True, max_size=2).map(tuple),
    contacts=st.lists(IDS, unique=True, max_size=2).map(tuple),
)  # fmt: skip


@given(FILES)
def test_what_is_written_is_read_back(file) -> None:
    assert parse(write(file, comment="a\nb")) == (file, [])


@given(st.text(max_size=200))
def test_no_text_raises_and_only_whole_records_count(text) -> None:
    found, _ = parse(text)
    assert all(one.system and one.account for one in found.records)
