"""A small stand-in for the document-validation API: it reads what it is sent and judges by what it read."""
