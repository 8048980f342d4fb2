"""`make chaos`: the whole stack under kills, outages and a vendor's whims, and the count of what was lost or came twice."""
