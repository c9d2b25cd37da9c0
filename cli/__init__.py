"""The operator's command, ``bionicpro``."""
