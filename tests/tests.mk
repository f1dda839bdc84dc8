# What the rooms of tests/ build; one fragment a subject.
