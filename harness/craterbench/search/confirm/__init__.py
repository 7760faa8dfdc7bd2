"""The confirmation of a search: its best trials and the reference trained on fresh seeds, and their scores compared.

Called by ``craterbench.search.sweep`` when the trials have ended.
"""
