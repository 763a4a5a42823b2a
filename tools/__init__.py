"""Small programs that check and describe the project itself."""
