"""The topics that no profile is made of, against the taxonomy that they are of."""

import csv

from ringwork.ads.special_topics import BELIEFS, HEALTH, POLITICS, SENSITIVE, SPECIAL_TOPICS


def test_the_list_is_whole_subtrees_of_the_taxonomy(staged_data):
    rows = list(
        csv.reader(
            (staged_data / "ads/taxonomy/content-3.1.tsv").read_text("utf-8").splitlines()[2:],
            delimiter="\t",
        )
    )
    parents = {row[0]: row[1] for row in rows}

    def below(root: str) -> set[str]:
        found = {root}
        while True:
            more = {id for id, parent in parents.items() if parent in found} - found
            if not more:
                return found
            found |= more

    assert below("286") <= HEALTH
    assert below("386") == POLITICS
    assert below("453") <= BELIEFS
    assert below("v9i3On") == SENSITIVE
    assert set(parents) >= SPECIAL_TOPICS
