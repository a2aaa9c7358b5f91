"""The page that `jaxbrain report` writes."""
