"""How fast snnjax is, one file per question; see README.md."""
