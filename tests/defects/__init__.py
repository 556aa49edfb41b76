"""Clean datasets, and single defects that are planted into copies of them: what an audit must and must not say."""
