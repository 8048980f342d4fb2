"""OCSF as Parquet: fixed columns for each class and version, and what has none kept beside."""
