"""Jobs over history: the same pure steps as the streams, spread by Ray Data."""
