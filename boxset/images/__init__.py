"""Pictures: decoding, normalising, fingerprints, what they look like."""
