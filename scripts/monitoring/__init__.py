"""Source of alerts/, dashboards/ and the mixin: `variables` are what a site may change, `rules` and `dashboards` the rest."""
