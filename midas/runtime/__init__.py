"""What every part of the suite needs: errors, files, logs, progress, members of a run."""
