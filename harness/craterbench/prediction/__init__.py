"""Finished runs used on images of any size: windows, masks, probabilities, overlays, and catalogues of what was found.

Called by ``bench predict`` and ``craterbench.api``. Networks predict in worker processes (``craterbench.execution``);
images are read, and results written, a band of rows at a time.
"""
