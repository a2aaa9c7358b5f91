"""Sentences and tables of text, from numbers."""
