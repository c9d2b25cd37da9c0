"""``bionicpro rebuild``: a new generation of tables beside the old, filled, verified, and only then shown to readers (docs/adr/0016-rebuild.md)."""
