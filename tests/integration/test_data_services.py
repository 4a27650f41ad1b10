#!/usr/bin/python3
"""Web server, complaints and service desk: every figure of the tables."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "realdata"))
import harness
import through


class Data(through.RealData):
    pass


through.tests_of(Data, ("apache_semicomplete", "comcast_complaints", "uci_incident_log"))

if __name__ == "__main__":
    harness.main()
