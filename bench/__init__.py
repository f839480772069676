"""One file a question; each prints a Markdown table with its peer or limit from the same run."""
