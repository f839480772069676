"""Lambda code, one package a capability; imports neither local/, infra/ nor media/."""

import gc
import sys

# What a handler imports lives as long as its container: 25,000 objects, which the default threshold of 700 walks
# through a hundred times during a cold start, to find nothing (15 ms, where `import boto3` takes 160).
gc.set_threshold(20_000, 10, 10)

# App Store's library brings pyOpenSSL, and botocore loads that wherever it is installed, to take the standard library's
# TLS all the same: about a tenth of every handler's cold start for nothing. Here botocore is told that it is not there.
sys.modules.setdefault("urllib3.contrib.pyopenssl", None)  # pyright: ignore[reportArgumentType] (None: not importable)
