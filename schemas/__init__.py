"""What services share: keys and partitions, source mapping, event types, the topic catalogue."""
