"""What happens to a picture on its way: one stage and its configuration in each file."""
