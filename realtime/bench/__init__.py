"""What `rt-swap bench` measures with: time stamps in pictures, and the figures made of them."""
