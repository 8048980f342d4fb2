"""Real receivers: programs that others wrote, on loopback, against which destinations are tested.

`make test-real` builds what is missing below `.real/` and runs the tests of this folder; `make test` leaves them out. A
receiver whose tools are missing here is left out with a word.
"""
