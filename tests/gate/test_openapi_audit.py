"""Scraping vectors of an interface: one of each, and none where there is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.audit.openapi import audit
from ringwork.gate.policy.load import parse_policy
from ringwork.kernel.errors import Refused

OBJECT = {"type": "object"}


def described(path: str, method: str = "get", **operation: Any) -> bytes:
    operation.setdefault("security", [{"key": []}])
    operation.setdefault("responses", {"200": {"description": "ok"}})
    return json.dumps({"openapi": "3.1.0", "paths": {path: {method: operation}}}).encode()


def answers(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}


def rules_of(description: bytes, policy: str | None = None) -> dict[str, str]:
    limits = None if policy is None else parse_policy(policy.encode(), where="gate.yaml")
    return {one.rule: one.severity for one in audit(description, where="api.json", policy=limits)}


LIST = {"type": "array", "items": {"type": "object", "properties": {"title": {"type": "string"}}}}


def paged(**schema: Any) -> list[dict[str, Any]]:
    return [{"name": "limit", "in": "query", "schema": {"type": "integer", **schema}}]


def test_a_list_says_how_long_it_may_be() -> None:
    assert rules_of(described("/books", responses=answers(LIST))) == {"page-unbounded": "medium"}
    assert rules_of(described("/friends", responses=answers(LIST))) == {"page-unbounded": "high"}
    assert rules_of(described("/books", responses=answers(LIST), parameters=paged())) == {
        "page-unbounded": "medium"
    }
    assert (
        rules_of(described("/books", responses=answers(LIST), parameters=paged(maximum=100))) == {}
    )
    assert rules_of(
        described("/books", responses=answers(LIST), parameters=paged(maximum=5000))
    ) == {"page-large": "low"}
    assert rules_of(described("/books", responses=answers({**LIST, "maxItems": 50}))) == {}


def test_ids_of_people_that_can_be_counted_up() -> None:
    def with_id(kind: dict[str, str], path: str = "/users/{id}") -> dict[str, str]:
        return rules_of(described(path, parameters=[{"name": "id", "in": "path", "schema": kind}]))

    assert with_id({"type": "integer"}) == {"ids-sequential": "high"}
    assert with_id({"type": "string", "format": "uuid"}) == {}
    assert with_id({"type": "integer"}, "/books/{id}") == {}


def test_looking_people_up_by_what_can_be_enumerated() -> None:
    by_query = [{"name": "phoneNumber", "in": "query", "schema": {"type": "string"}}]
    assert rules_of(described("/search", parameters=by_query)) == {"lookup-by-contact": "high"}
    body = {"content": {"application/json": {"schema": {"properties": {"e-mail": {}, "note": {}}}}}}
    assert rules_of(described("/find", "post", requestBody=body)) == {"lookup-by-contact": "high"}


def test_many_at_once_and_what_it_should_cost() -> None:
    found = audit(described("/users", parameters=[{"name": "ids", "in": "query"}]), where="a.json")
    assert [one.rule for one in found] == ["ids-in-bulk"]
    # The proposal is a rule that can be pasted.
    rule = found[0].proposal.split("\n", 1)[1]
    assert parse_policy(f"rules:\n{rule}".encode(), where="x.yaml").rules[0].match.route == "/users"


def test_what_exists_and_what_is_hidden_look_the_same() -> None:
    both = {"200": {}, "403": {}, "404": {}}
    assert rules_of(described("/users/{id}", responses=both)) == {"existence-oracle": "medium"}
    assert rules_of(described("/users/{id}", responses={"200": {}, "404": {}})) == {}


def test_personal_members_are_told_to_nobody_in_particular() -> None:
    person = answers({"$ref": "#/components/schemas/Person"})
    document = json.loads(described("/me", responses=person))
    document["components"] = {
        "schemas": {
            "Person": {
                "allOf": [
                    {"properties": {"birthDate": {}, "home": {"$ref": "#/components/schemas/Home"}}}
                ]
            },
            "Home": {
                "properties": {"street": {}, "tenant": {"$ref": "#/components/schemas/Person"}}
            },
        }
    }
    assert rules_of(json.dumps(document).encode()) == {}, "whoever asks has signed in"
    document["paths"]["/me"]["get"]["security"] = []
    assert rules_of(json.dumps(document).encode()) == {"personal-unauthenticated": "high"}
    document["paths"]["/me"]["get"]["security"] = [{"key": []}, {}]
    assert rules_of(json.dumps(document).encode()) == {"personal-unauthenticated": "high"}, (
        "or has not"
    )


def test_what_a_policy_leaves_unbounded() -> None:
    page = described("/users/{id}", responses=answers({"properties": {"name": {}}}))
    assert rules_of(page, "rules: []") == {"no-rule": "medium", "no-distinct-budget": "medium"}
    shadow = 'rules: [{name: a, shadow: true, match: {route: "/users/*"}, key: [account], limit: {kind: gcra, limit: 1, period_s: 1}}]'
    assert rules_of(page, shadow) == {"no-rule": "medium", "no-distinct-budget": "medium"}
    assert rules_of(page, shadow.replace("shadow: true, ", "")) == {"no-distinct-budget": "medium"}
    distinct = (
        "rules: [{name: a, key: [account], limit: {kind: distinct, limit: 200, window_s: 86400}}]"
    )
    assert rules_of(page, distinct) == {}


def test_following_every_proposal_leaves_nothing_to_propose() -> None:
    page = described(
        "/users/{id}/friends",
        responses=answers(LIST),
        parameters=[*paged(maximum=50), {"name": "id", "in": "path", "schema": {"type": "string"}}],
    )
    found = audit(page, where="a.json", policy=parse_policy(b"rules: []", where="g.yaml"))
    rules = "\n".join(one.proposal.split("\n", 1)[1] for one in found)
    assert rules_of(page, f"rules:\n{rules}") == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"openapi": "2.0"}',
        b'{"swagger": "2.0", "paths": {}}',
        b'{"openapi": "3.1.0"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_description_is_refused(text: bytes) -> None:
    with pytest.raises(Refused) as refused:
        audit(text, where="api.json")
    assert refused.value.slug == "openapi-invalid"
    assert "api.json" in refused.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "get",
                    "parameters",
                    "schema",
                    "$ref",
                    "content",
                    "responses",
                    "200",
                    "items",
                    "properties",
                    "allOf",
                    "a/b",
                    "security",
                    "name",
                    "in",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON)
def test_no_description_does_more_than_be_read(item: Any, more: Any) -> None:
    document = {
        "openapi": "3.0.3",
        "paths": {"/a/{b}": item, "/c": {"get": more}},
        "components": more,
    }
    try:
        audit(json.dumps(document).encode(), where="api.json")
    except Refused as refused:
        assert refused.slug == "openapi-invalid"
