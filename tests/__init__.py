"""The tests, and what they share: samples, planted defects, a made-up robot."""
