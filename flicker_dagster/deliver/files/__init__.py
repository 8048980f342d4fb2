"""Files of whole lines that are appended to exactly once: what is written, where it ends, and what has become of it."""
