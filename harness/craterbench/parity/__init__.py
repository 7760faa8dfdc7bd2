"""Verification that two frameworks compute the same: activations, gradients, training steps and predictions compared.

Called by ``bench parity``; the verdicts are kept in ``craterbench.results.parity_verdicts``.
"""
