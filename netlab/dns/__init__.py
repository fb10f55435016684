"""Service names: records, dnsmasq and its files, the responder for what dnsmasq cannot hold."""
