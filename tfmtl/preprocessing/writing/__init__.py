"""Write canonical rows as TFRecords, with the files beside them."""
