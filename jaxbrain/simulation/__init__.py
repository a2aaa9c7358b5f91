"""Exact Monte Carlo: what recordings are worth, measured on draws."""

from .sweep import sweep as sweep
