"""Pure decisions on batches: decode, join, fold. No I/O, no clock, no Faust."""
