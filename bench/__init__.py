"""How fast axisoft is beside its peers, in one run. ``python -m bench --help``"""
