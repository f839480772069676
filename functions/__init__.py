"""Lambda code, one package a capability; imports neither local/, infra/ nor media/."""

import gc

# What a handler imports lives as long as its container: 25,000 objects, which the default threshold of 700 walks
# through a hundred times during a cold start, to find nothing (15 ms, where `import boto3` takes 160).
gc.set_threshold(20_000, 10, 10)
