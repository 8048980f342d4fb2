"""One module per destination, named as its `type`; its class is in `OPENS`."""
