"""The local stack: the synthesized template on moto, with gateway, triggers, seed and relay beside it."""
