"""Small recordings in every format that is read, made from seeded numbers: what a reader of that format must open."""
