"""The whole path over the real gateway, on a stack made from the template."""
