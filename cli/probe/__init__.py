"""``bionicpro probe``: how long a committed row takes until a reader sees its effect.

A probe has a wearer of its own (``subject``), so that nobody's reports are touched. Each mark is one error event with a code of its own (``marks``);
``observers`` look where readers look; ``run`` puts them together.
"""
