"""The table of differences between frameworks, and what each costs on a digits run."""
