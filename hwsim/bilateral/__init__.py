"""The bilateral link: two endpoints, each its own crash domain, that agree round by round on what changed hands."""
