"""Multiple choice among sets of diagnoses: questions and task; the parser is `anyecg.tasks.multiple_choice`."""
