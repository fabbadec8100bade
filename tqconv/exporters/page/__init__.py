"""A report as one HTML file: `facts` says what it holds, `document` writes it."""
