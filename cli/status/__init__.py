"""``bionicpro status``: asks every part at once (``probes``), then decides what is wrong (``judge``) and says it (``report``)."""
