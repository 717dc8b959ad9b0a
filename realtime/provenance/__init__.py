"""What says that a picture is artificial: invisible mark, metadata, signatures; and its reader."""
