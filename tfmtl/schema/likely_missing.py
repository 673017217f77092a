"""Texts that other programs write for a missing value."""

LIKELY_MISSING = ("\\N", "NULL", "null", "Null", "(null)", "<NA>", "NaN", "nan", "NaT", "None", "N/A", "n/a", "#N/A")
"""Hive and MySQL, SQL, Spark, pandas, NumPy, Python, spreadsheets: hardly ever the name of anything."""

MAYBE_MISSING = ("-", "--", "?", "NA", "na", "none", "missing", "undefined")
"""Texts that may also be values."""
