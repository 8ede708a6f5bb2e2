"""HTML pages: one file each, without external requests; figures as inline SVG."""
