"""Jobs and their arguments, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecap.errors import Invalid, NotFound
from ecap.pipelines.batch.frame.arguments import Archive, Rescore
from ecap.pipelines.batch.jobs import find, parse


@pytest.mark.parametrize(
    ("job", "argument", "words"),
    [
        ("revenue", "since", "key=value"),
        ("revenue", "since=yesterday", "since"),
        ("revenue", "since=2026-01-01T00:00:00", "timezone"),
        ("revenue", "slice_events=0", "slice_events"),
        ("fraud-rescore", "deny_score=1000", "deny_score"),
        ("fraud-rescore", "velocity=3", "it takes .*velocity_count"),
        ("archive", "slice_events=5", "to: Field required"),
    ],
)
def test_a_mistake_is_named(job: str, argument: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse(find(job), [argument])


def test_there_is_no_such_job() -> None:
    with pytest.raises(NotFound, match="revenue, fraud-rescore, archive"):
        find("revenu")


def test_places_are_where_the_submitter_meant_them() -> None:
    here = parse(find("archive"), ["to=lake"])
    there = parse(find("archive"), ["to=s3://bucket/lake"])
    assert isinstance(here, Archive)
    assert isinstance(there, Archive)
    assert here.to == str(Path("lake").absolute())
    assert there.to == "s3://bucket/lake"


def test_only_what_is_given_is_tried() -> None:
    given = parse(find("fraud-rescore"), ["review-score=40"])
    assert isinstance(given, Rescore)
    assert given.model_dump(exclude_unset=True) == {"review_score": 40}
