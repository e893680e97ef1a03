"""The nouns: pictures, boxes, categories, what is known of a picture; their COCO file; their checks."""
