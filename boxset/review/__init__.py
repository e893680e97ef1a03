"""`boxset review`: a page on this machine in which people sort pictures before they are bought, and decisions that come from elsewhere."""
