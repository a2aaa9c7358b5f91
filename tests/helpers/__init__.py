"""What several tests share: oracles that know nothing of the library, checks, made-up studies."""
