"""Lambda code, one package a capability; imports neither local/, infra/ nor media/."""
