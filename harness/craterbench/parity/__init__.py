"""Whether twins are twins: what each of two frameworks computes, compared. Called by ``bench parity``."""
