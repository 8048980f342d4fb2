"""How the events of a lot become a body: one module per form, shared by the destinations that write it."""
