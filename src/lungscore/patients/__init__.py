"""What the numbers of results say of a patient: infected or not, and how severe clinically.

docs/patients.md explains the commands and every figure. No model is shipped.
"""
