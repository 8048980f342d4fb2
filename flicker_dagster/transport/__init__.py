"""Exchanges by HTTP, for vendors, SIEMs and token endpoints alike: the only floor that knows the HTTP library."""
