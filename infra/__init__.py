"""The CDK constructs of the one stack that is deployed, one file a capability."""

from __future__ import annotations

import os

# CDK's Python runs on Node.js and fills the console with a banner for releases past their end; the value names which.
os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "18,20"
