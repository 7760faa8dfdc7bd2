"""The command line: ``main.py`` is ``bench``; each verb has a file, reads its options and calls the other rooms."""
