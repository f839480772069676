"""The media task: everything between a publisher and a screen."""
