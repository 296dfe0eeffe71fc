// Nothing here yet adds to the page.
