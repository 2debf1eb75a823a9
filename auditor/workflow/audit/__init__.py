"""The engine put to work on a home's data: scenes, reference banks, calibration."""
