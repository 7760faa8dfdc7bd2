"""The search space: distributions that components declare, narrowed or fixed by the user's overrides.

Called by ``craterbench.search.setup``, which builds the space, and by the loop that asks for trials.
"""
