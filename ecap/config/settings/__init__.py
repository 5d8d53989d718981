"""What can be set: a module a section, named as the section is."""
