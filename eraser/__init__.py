"""The eraser: removes physically what erasure rules cover, from every generation, looks again after a while, and writes the receipt."""
