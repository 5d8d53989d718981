"""The partition of a key, as every Kafka client computes it: murmur2, as in the Java client.

Own code, and tested against aiokafka's, because a replica that only asks a shard
need not import a Kafka client.
"""

from __future__ import annotations

_SEED = 0x9747B28C
_M = 0x5BD1E995
_32 = 0xFFFFFFFF


def partition_of(key: str, partitions: int) -> int:
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _32
        k = ((k ^ (k >> 24)) * _M) & _32
        h = ((h * _M) & _32) ^ k
    if whole < len(data):
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _M) & _32
    h = ((h ^ (h >> 13)) * _M) & _32
    return h ^ (h >> 15)
