"""Several predictions combined into one."""
