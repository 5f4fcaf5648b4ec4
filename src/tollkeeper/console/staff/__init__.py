"""The pages of the team that runs this installation, one file each."""
