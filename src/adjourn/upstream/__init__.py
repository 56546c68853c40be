"""The other side of the wire: what answers in place of, or as, the model."""
