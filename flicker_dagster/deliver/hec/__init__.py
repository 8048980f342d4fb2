"""The protocol of Splunk's HTTP Event Collector: bodies, answers, acknowledgements."""
