"""SaaS audit logs into a SIEM, every event once, orchestrated by Dagster."""

__version__ = "0.1.0"
