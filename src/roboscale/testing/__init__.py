"""The conformance kit: what third parties run on their worlds, policies, datasets and sources."""
