"""The five handwritten derivations, each in its note's own layout, symbols and order.

They share no code with :mod:`reference.network` or with each other, so that each is a witness of its own.
What the notes get wrong, and the answers to what they leave open, stand in ``docs/notes.md``.
"""
