"""What happens to a picture on its way: one stage, its class and its configuration, in each file."""
