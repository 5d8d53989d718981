"""Our partitioner is Kafka's."""

from __future__ import annotations

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.values.partitions import partition_of


@given(st.text(), st.integers(1, 1000))
def test_a_key_goes_where_other_clients_send_it(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
