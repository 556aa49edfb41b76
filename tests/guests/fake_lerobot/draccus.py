def decode(kind, said):
    return kind(**{name: value for name, value in said.items() if name != "type"})
