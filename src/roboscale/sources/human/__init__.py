"""Human hands as action data: what headsets, glasses and estimators have written down, with names of joints."""
