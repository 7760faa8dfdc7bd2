"""Images and masks: checked where they enter, split into parts, and searched for leakage.

Plugins return a ``Dataset``; training splits it. Chips are cut here for whoever has a tile and a catalogue.
"""
