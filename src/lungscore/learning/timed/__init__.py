"""Trainings that end when their time does: many networks side by side on one device.

Nothing here needs more than torch, numpy, Pillow and safetensors, so that it runs where only those
are installed.
"""
