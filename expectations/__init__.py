"""Great Expectations at both ends: the raw tables and the marts."""
