"""ECGInstruct's families of questions, made by rules from what a record's report asserts."""
