"""Reviewing results in the browser: look, correct, score again, accept.

Pure: masks under correction and changes of them (masks, correction), what tools do (tools, settle),
connected pieces (pieces) and the numbers that follow every change (counting). On disk: the case
(opened_case), the log that survives a killed server (log), what is saved (saving), the list of
cases (work_list), other readers (readings), training data (export). Together: session, server/.
"""
