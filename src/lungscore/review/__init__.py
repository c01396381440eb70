"""Reviewing results in the browser: look, correct, score again, accept.

The masks of one case under correction (masks, changes, tools), what follows every change (counting), the log that
survives a killed server (log), what is saved (saving), the list of cases (work_list), and the server
(server/).
"""
