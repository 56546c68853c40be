"""Bytes on the wire and what they mean: pure, nothing is sent or kept here."""
