"""Many models in one program: spaces, samplers, sweep, search."""
