"""From canonical rows to TFRecords and the files beside them."""
