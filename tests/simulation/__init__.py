"""The whole worker group in one deterministic simulation: time, order, network and disk are chosen by a seed (docs/simulation.md)."""
