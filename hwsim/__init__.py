"""hwsim: hardware-level simulation of persistence domains and Ethernet links."""
