"""Tests of the review: pure parts, server, storage."""
