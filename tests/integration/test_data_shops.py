#!/usr/bin/python3
"""Shops: every figure of the tables."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "realdata"))
import harness
import through


class Data(through.RealData):
    pass


through.tests_of(Data, ("online_retail", "olist_classified", "rees46_oct2019"))

if __name__ == "__main__":
    harness.main()
