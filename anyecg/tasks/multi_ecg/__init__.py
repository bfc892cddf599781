"""Questions over several ECGs of one patient."""
