"""What lies in somebody's folder: the patients, their files, and what is not used."""
