"""The same network, once for each framework, in that framework's own idiom."""
