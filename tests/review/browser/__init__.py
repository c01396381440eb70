"""Tests of the pages of a review, in a real browser against the real server."""
