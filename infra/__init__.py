"""The CDK constructs of the one stack that is deployed, one file a capability."""
